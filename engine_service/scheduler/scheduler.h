// Decides what runs in the next step: continuous batching with chunked prefill.
//
// A sequence waits in a bounded first-in-first-out queue, is admitted when a place in the batch is
// free and all the KV blocks it can ever need are, runs, and ends exactly once. As nothing runs
// without its worst case in hand, nothing is ever preempted and nothing can deadlock. In a step
// every sequence that is past its prompt gets its one token; what is left of the token budget goes
// to prompts, oldest first, cut where the budget ends.
//
// The order of calls is Sweep, PlanStep, (the step runs), Commit, Sweep, … Submit and Abort may
// come between any two of them.
//
// Pure: touches no tensor, reads no clock (`now` is an argument). Not thread-safe.
#ifndef VALLM_ENGINE_SERVICE_SCHEDULER_SCHEDULER_H_
#define VALLM_ENGINE_SERVICE_SCHEDULER_SCHEDULER_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine_service/scheduler/kv_block_pool.h"
#include "engine_service/scheduler/sequence.h"
#include "engine_service/scheduler/step_plan.h"

namespace vallm::engine {

struct SchedulerOptions {
  int32_t max_batch_size = 4;            // sequences that run together; >= 1
  int32_t max_num_batched_tokens = 512;  // token budget of a step; >= max_batch_size
  int32_t max_queue_size = 64;           // sequences that wait; >= 0
  int32_t max_model_len = 0;             // positions of one sequence; >= 2
  int32_t max_input_len = 0;             // prompt tokens of one sequence; in [1, max_model_len)
  int32_t num_kv_blocks = 0;             // >= 1
  int32_t block_size = 0;                // positions per block; >= 1
};

class Scheduler {
 public:
  // A token that Commit gave to a sequence.
  struct Produced {
    SequenceId sequence_id;
    int32_t token_id;
  };
  struct CommitResult {
    std::vector<Produced> tokens;      // in row order
    std::vector<EndedSequence> ended;  // by STOP or LENGTH
  };

  // REQUIRES (CHECKed): the ranges above.
  explicit Scheduler(const SchedulerOptions& options);
  ~Scheduler();

  // Whether a sequence of these lengths can ever run; depends on the options alone.
  // Errors: INVALID_ARGUMENT (no prompt, max_tokens < 1, prompt longer than max_input_len, prompt
  // and max_tokens longer than max_model_len or than the KV pool).
  absl::Status CheckFits(const SequenceSpec& spec) const;

  // Queues a sequence. Ids rise by one and are never used twice. Nothing changes on error.
  // REQUIRES: spec.max_tokens > spec.resumed_ids.size(): there is something left to generate.
  // Errors: those of CheckFits, RESOURCE_EXHAUSTED (the queue is full), DEADLINE_EXCEEDED (passed
  // already).
  absl::StatusOr<SequenceId> Submit(SequenceSpec spec, absl::Time now);

  // The sequence produces nothing more and the next Sweep ends it. Unknown ids are ignored: it may
  // have ended meanwhile.
  void Abort(SequenceId id);

  // Ends what was aborted or is past its deadline, waiting or running, and frees its blocks.
  // REQUIRES (CHECKed): the step planned before was committed.
  std::vector<EndedSequence> Sweep(absl::Time now);

  // Admits what fits and writes the next step to `plan`; an empty plan means there is nothing to
  // run. REQUIRES (CHECKed): the step planned before was committed.
  void PlanStep(absl::Time now, StepPlan& plan);

  // The planned step ran and row i decided for token_ids[i]. Aborted sequences drop theirs.
  // REQUIRES (CHECKed): `plan` is the one PlanStep wrote last, token_ids.size() == rows.
  CommitResult Commit(const StepPlan& plan, std::span<const int32_t> token_ids, absl::Time now);

  // Drops everything, e.g. when the workers are gone with the cache; a planned step need not be
  // committed. Gives the ids, queue order last.
  std::vector<Sequence> Clear();

  // The blocks a sequence of that many prompt and output tokens holds. The last output token needs
  // no place: nothing ever attends to it.
  int32_t BlocksFor(int64_t prompt_count, int64_t max_tokens) const;

  const SchedulerOptions& options() const { return options_; }
  int32_t num_running() const { return static_cast<int32_t>(running_.size()); }
  int32_t num_waiting() const { return static_cast<int32_t>(waiting_.size()); }
  int32_t num_free_blocks() const { return pool_.num_free(); }
  bool idle() const { return running_.empty() && waiting_.empty(); }

 private:
  void AdmitWaiting();
  void AddChunk(const Sequence& sequence, int32_t token_count, StepPlan& plan) const;
  void Release(Sequence& sequence);

  const SchedulerOptions options_;
  KvBlockPool pool_;
  SequenceId next_id_ = 1;
  bool step_planned_ = false;
  std::deque<std::unique_ptr<Sequence>> waiting_;   // arrival order
  std::vector<std::unique_ptr<Sequence>> running_;  // admission order
  std::unordered_map<SequenceId, Sequence*> by_id_;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_SCHEDULER_SCHEDULER_H_
