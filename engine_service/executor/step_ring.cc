#include "engine_service/executor/step_ring.h"

#include <glog/logging.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace vallm::engine {
namespace {

template <typename T>
void CopyInto(std::span<const T> from, std::span<T> to) {
  CHECK_LE(from.size(), to.size()) << "a step is larger than the group's shape";
  std::copy(from.begin(), from.end(), to.begin());
}

}  // namespace

void StepWriter::Publish(const Step& step) {
  CHECK(waited_) << "the step before was not waited for";
  rows_ = LogitRows(step);
  CHECK_LE(rows_, memory_.shape().max_logit_rows);
  ++published_;
  SlotHead& head = memory_.slot_head(slot());
  head.token_count = static_cast<int32_t>(step.token_ids.size());
  head.chunk_count = static_cast<int32_t>(step.chunks.size());
  head.block_id_count = static_cast<int32_t>(step.block_ids.size());
  CopyInto(step.token_ids, memory_.token_ids(slot()));
  CopyInto(step.chunks, memory_.chunks(slot()));
  CopyInto(step.block_ids, memory_.block_ids(slot()));
  waited_ = false;
  memory_.published().Set(published_);
}

absl::StatusOr<std::span<const float>> StepWriter::Wait(absl::Time deadline) {
  for (int32_t rank = 0; rank < memory_.shape().ranks; ++rank) {
    switch (
        memory_.rank(rank).finished.WaitFor(published_, memory_.aborted(), spinner_, deadline)) {
      case WaitResult::kReached:
        break;
      case WaitResult::kAborted:
        return absl::UnavailableError("the worker group was stopped");
      case WaitResult::kTimedOut:
        return absl::DeadlineExceededError(
            absl::StrCat("the worker of rank ", rank, " did not finish step ", published_));
    }
  }
  waited_ = true;
  return memory_.logits(slot()).first(static_cast<size_t>(rows_ * memory_.shape().vocab_size));
}

absl::StatusOr<Step> StepReader::Next() {
  if (memory_.published().WaitFor(taken_ + 1, memory_.aborted(), spinner_) ==
      WaitResult::kAborted) {
    return absl::UnavailableError("the worker group was stopped");
  }
  const uint32_t slot = taken_ % kRingSlots;
  const SlotHead& head = memory_.slot_head(slot);
  return Step{.token_ids = memory_.token_ids(slot).first(static_cast<size_t>(head.token_count)),
              .chunks = memory_.chunks(slot).first(static_cast<size_t>(head.chunk_count)),
              .block_ids = memory_.block_ids(slot).first(static_cast<size_t>(head.block_id_count))};
}

void StepReader::Finish() { memory_.rank(rank_).finished.Set(++taken_); }

}  // namespace vallm::engine
