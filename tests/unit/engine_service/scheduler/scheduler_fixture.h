// A scheduler and small prompts, for its tests.
#ifndef VALLM_TESTS_UNIT_ENGINE_SERVICE_SCHEDULER_SCHEDULER_FIXTURE_H_
#define VALLM_TESTS_UNIT_ENGINE_SERVICE_SCHEDULER_SCHEDULER_FIXTURE_H_

#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "engine_service/scheduler/scheduler.h"
#include "gtest/gtest.h"

namespace vallm::engine {

inline constexpr int32_t kNext = 9;  // what every row samples unless a test says otherwise

inline SchedulerOptions SmallOptions() {
  return {.max_batch_size = 2,
          .max_num_batched_tokens = 8,
          .max_queue_size = 2,
          .max_model_len = 64,
          .max_input_len = 48,
          .num_kv_blocks = 10,
          .block_size = 4,
          .enable_prefix_caching = false};
}

class SchedulerTest : public ::testing::Test {
 protected:
  void Use(const SchedulerOptions& options) { scheduler_ = std::make_unique<Scheduler>(options); }

  // Ids from `first_id` on.
  static SequenceSpec Prompt(int count, int max_tokens, int first_id = 100) {
    SequenceSpec spec;
    spec.prompt_ids.resize(static_cast<size_t>(count));
    std::iota(spec.prompt_ids.begin(), spec.prompt_ids.end(), first_id);
    spec.max_tokens = max_tokens;
    return spec;
  }
  absl::StatusOr<SequenceId> Submit(SequenceSpec spec) {
    return scheduler_->Submit(std::move(spec), now_);
  }
  SequenceId Submitted(SequenceSpec spec) { return Submit(std::move(spec)).value(); }

  // One step; every row samples `token`. Returns the sequences that ran.
  std::vector<SequenceId> RunStep(int32_t token = kNext) {
    for (EndedSequence& ended : scheduler_->Sweep(now_)) ended_.push_back(std::move(ended));
    scheduler_->PlanStep(now_, plan_);
    if (plan_.empty()) return {};
    const std::vector<int32_t> tokens(plan_.rows.size(), token);
    auto result = scheduler_->Commit(plan_, tokens, now_);
    for (EndedSequence& ended : result.ended) ended_.push_back(std::move(ended));
    return plan_.sequence_ids;
  }
  std::vector<int32_t> ChunkSizes() const {
    std::vector<int32_t> sizes;
    for (const SequenceChunk& chunk : plan_.chunks) sizes.push_back(chunk.token_count);
    return sizes;
  }

  std::unique_ptr<Scheduler> scheduler_ = std::make_unique<Scheduler>(SmallOptions());
  absl::Time now_ = absl::FromUnixSeconds(1000);
  StepPlan plan_;
  std::vector<EndedSequence> ended_;
};

}  // namespace vallm::engine

#endif  // VALLM_TESTS_UNIT_ENGINE_SERVICE_SCHEDULER_SCHEDULER_FIXTURE_H_
