// Steps from the engine to the workers and logits back: a ring in the group's memory with one
// writer and one reader per rank (docs/step-ring.md).
//
// A slot is written again only when every rank has finished the step it held, so that what a
// reader or the engine views stays valid until kRingSlots further steps were published.
#ifndef VALLM_ENGINE_SERVICE_EXECUTOR_STEP_RING_H_
#define VALLM_ENGINE_SERVICE_EXECUTOR_STEP_RING_H_

#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine_service/executor/group_memory.h"
#include "engine_service/model/step.h"

namespace vallm::engine {

// The engine's end. Not thread-safe.
class StepWriter {
 public:
  // `memory` must outlive the writer.
  explicit StepWriter(GroupMemory& memory)
      : memory_(memory), spinner_(memory.spin_limits().for_steps) {}

  // Copies `step` into the next slot and wakes the workers.
  // REQUIRES (CHECKed): the step is within the shape, and the step before was waited for.
  void Publish(const Step& step);

  // Waits until every rank has finished the step published last. Its logits, row-major
  // [LogitRows(step), vocab_size], are valid until kRingSlots further steps were published.
  // Errors: UNAVAILABLE (the group was aborted), DEADLINE_EXCEEDED, or what a worker failed with.
  absl::StatusOr<std::span<const float>> Wait(absl::Time deadline);

 private:
  uint32_t slot() const { return (published_ - 1) % kRingSlots; }

  GroupMemory& memory_;
  Spinner spinner_;
  uint32_t published_ = 0;
  bool waited_ = true;
  int64_t rows_ = 0;
};

// A worker's end. Not thread-safe.
class StepReader {
 public:
  // `memory` must outlive the reader. REQUIRES: one reader per rank.
  StepReader(GroupMemory& memory, int32_t rank)
      : memory_(memory), rank_(rank), spinner_(memory.spin_limits().for_steps) {}

  // Waits for the next step. The view is valid until Finish.
  // Errors: UNAVAILABLE when the group was aborted: exit.
  absl::StatusOr<Step> Next();
  // Where the step's logits belong: [max_logit_rows, vocab_size].
  std::span<float> logits() const { return memory_.logits(taken_ % kRingSlots); }
  // The step is done and this rank's logits are written.
  void Finish();

 private:
  GroupMemory& memory_;
  const int32_t rank_;
  Spinner spinner_;
  uint32_t taken_ = 0;  // steps finished so far
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_EXECUTOR_STEP_RING_H_
