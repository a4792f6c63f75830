// Thousands of random workloads against a simulated model whose cache remembers what was written to
// every slot: whoever reads another sequence's block, or one that was never written, is caught.
#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>

#include "engine_service/scheduler/scheduler.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

constexpr int32_t kVocab = 50;

// The token after `ids`: any function of all of them will do.
int32_t NextToken(const std::vector<int32_t>& ids) {
  uint32_t hash = 2166136261u;
  for (const int32_t id : ids) hash = (hash ^ static_cast<uint32_t>(id)) * 16777619u;
  return static_cast<int32_t>(hash % kVocab);
}

struct Slot {
  SequenceId owner = 0;
  int32_t position = -1;
  int32_t token_id = -1;
};

class Simulation {
 public:
  explicit Simulation(uint32_t seed) : random_(seed) {
    options_.max_batch_size = Pick(1, 6);
    options_.max_num_batched_tokens = options_.max_batch_size + Pick(0, 20);
    options_.max_queue_size = Pick(0, 8);
    options_.block_size = Pick(1, 5);
    options_.num_kv_blocks = Pick(3, 40);
    options_.max_model_len = Pick(2, 60);
    options_.max_input_len = Pick(1, options_.max_model_len - 1);
    scheduler_ = std::make_unique<Scheduler>(options_);
    cache_.resize(static_cast<size_t>(options_.num_kv_blocks) * options_.block_size);
  }

  void Run() {
    const int arrivals = Pick(1, 30);
    int submitted = 0, steps = 0;
    while (submitted < arrivals || !scheduler_->idle()) {
      while (submitted < arrivals && Pick(0, 2) == 0) {
        SubmitOne();
        ++submitted;
      }
      AbortSome();
      RecordEnded(scheduler_->Sweep(now_));
      StepOnce();
      now_ += absl::Milliseconds(Pick(0, 20));
      ASSERT_LT(++steps, 20000) << "no progress";
      if (::testing::Test::HasFatalFailure()) return;
    }
    EXPECT_TRUE(live_.empty()) << "a sequence never ended";
    EXPECT_EQ(scheduler_->num_free_blocks(), options_.num_kv_blocks) << "leaked blocks";
  }

  int ended(SequenceEnd end) const { return ended_counts_.count(end) ? ended_counts_.at(end) : 0; }
  int refused() const { return refused_; }

 private:
  struct Live {
    SequenceSpec spec;
    std::vector<int32_t> ids;  // prompt and output as far as the simulation knows
    bool aborted = false;
    bool past_prompt = false;
  };

  int Pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
  int32_t PickToken() { return Pick(0, kVocab - 1); }

  void SubmitOne() {
    SequenceSpec spec;
    spec.prompt_ids.resize(Pick(1, options_.max_input_len + (Pick(0, 9) == 0 ? 3 : 0)));
    for (int32_t& id : spec.prompt_ids) id = PickToken();
    spec.max_tokens = Pick(1, std::max(1, options_.max_model_len - int(spec.prompt_ids.size())));
    spec.resumed_ids.resize(Pick(0, 3) == 0 ? Pick(0, spec.max_tokens - 1) : 0);
    for (int32_t& id : spec.resumed_ids) id = PickToken();
    if (Pick(0, 1) == 0) spec.stop_ids = {PickToken(), PickToken()};
    if (Pick(0, 4) == 0) spec.deadline = now_ + absl::Milliseconds(Pick(1, 300));

    const int64_t positions = spec.prompt_ids.size() + spec.max_tokens - 1;
    const bool fits = int64_t(spec.prompt_ids.size()) <= options_.max_input_len &&
                      positions + 1 <= options_.max_model_len &&
                      positions <= int64_t{options_.num_kv_blocks} * options_.block_size;
    const bool queue_full = scheduler_->num_waiting() >= options_.max_queue_size +
                                                             options_.max_batch_size -
                                                             scheduler_->num_running();
    const auto id = scheduler_->Submit(spec, now_);
    if (!fits) {
      EXPECT_EQ(id.status().code(), absl::StatusCode::kInvalidArgument);
      ++refused_;
    } else if (queue_full) {
      EXPECT_EQ(id.status().code(), absl::StatusCode::kResourceExhausted);
      ++refused_;
    } else {
      ASSERT_OK(id);
      ASSERT_GT(*id, last_id_);
      last_id_ = *id;
      Live live{.spec = spec, .ids = spec.prompt_ids};
      live.ids.insert(live.ids.end(), spec.resumed_ids.begin(), spec.resumed_ids.end());
      live_[*id] = live;
    }
  }

  void AbortSome() {
    for (auto& [id, live] : live_) {
      if (Pick(0, 60) != 0) continue;
      scheduler_->Abort(id);
      live.aborted = true;
    }
  }

  // Runs the chunk on the simulated cache and gives the tokens of the sequence up to its end.
  void RunChunk(const StepPlan& plan, size_t index) {
    const SequenceChunk& chunk = plan.chunks[index];
    const SequenceId owner = plan.sequence_ids[index];
    const Live& live = live_.at(owner);
    const int32_t end = chunk.start_position + chunk.token_count;
    ASSERT_LE(end, int32_t(live.ids.size()));
    ASSERT_EQ(chunk.block_count, (end + options_.block_size - 1) / options_.block_size);
    const auto slot = [&](int32_t position) -> Slot& {
      const int32_t block = plan.block_ids[chunk.block_begin + position / options_.block_size];
      return cache_.at(size_t(block) * options_.block_size + position % options_.block_size);
    };
    for (int32_t i = 0; i < chunk.token_count; ++i) {
      slot(chunk.start_position + i) = {owner, chunk.start_position + i,
                                        plan.token_ids[chunk.token_begin + i]};
    }
    for (int32_t position = 0; position < end; ++position) {
      ASSERT_EQ(slot(position).owner, owner) << "reads a block that another sequence wrote";
      ASSERT_EQ(slot(position).position, position);
      ASSERT_EQ(slot(position).token_id, live.ids[position]);
    }
    ASSERT_EQ(chunk.logit_count, end == int32_t(live.ids.size()) ? 1 : 0);
  }

  void CheckPlan(const StepPlan& plan) {
    ASSERT_LE(int(plan.token_ids.size()), options_.max_num_batched_tokens);
    ASSERT_LE(int(plan.chunks.size()), options_.max_batch_size);
    ASSERT_LE(scheduler_->num_running(), options_.max_batch_size);
    const std::set<SequenceId> in_plan(plan.sequence_ids.begin(), plan.sequence_ids.end());
    ASSERT_EQ(in_plan.size(), plan.chunks.size()) << "a sequence runs twice in a step";
    std::set<int32_t> blocks(plan.block_ids.begin(), plan.block_ids.end());
    ASSERT_EQ(blocks.size(), plan.block_ids.size()) << "a block belongs to two sequences";
    for (const auto& [id, live] : live_) {
      if (live.past_prompt) {
        ASSERT_TRUE(in_plan.count(id)) << "a decode was left out";
      }
    }
    // First in, first out. One-token sequences go before cut prompts within a step, so each of the
    // two kinds is in order on its own.
    for (const SequenceId id : plan.started) {
      SequenceId& latest = latest_started_[live_.at(id).ids.size() == 1];
      ASSERT_GT(id, latest) << "overtaken";
      latest = id;
    }
  }

  void StepOnce() {
    StepPlan plan;
    scheduler_->PlanStep(now_, plan);
    if (plan.empty()) {
      ASSERT_TRUE(scheduler_->idle()) << "somebody waits and nobody runs";
      return;
    }
    ASSERT_NO_FATAL_FAILURE(CheckPlan(plan));
    for (size_t i = 0; i < plan.chunks.size(); ++i) ASSERT_NO_FATAL_FAILURE(RunChunk(plan, i));
    std::vector<int32_t> tokens;
    for (const StepPlan::Row& row : plan.rows) {
      const Live& live = live_.at(row.sequence_id);
      ASSERT_EQ(row.output_position, int(live.ids.size() - live.spec.prompt_ids.size()));
      tokens.push_back(NextToken(live.ids));
    }
    if (Pick(0, 9) == 0) AbortSome();
    Scheduler::CommitResult result = scheduler_->Commit(plan, tokens, now_);
    for (const auto& [id, token] : result.tokens) {
      ASSERT_FALSE(live_.at(id).aborted) << "a token after the abort";
      live_.at(id).ids.push_back(token);
      live_.at(id).past_prompt = true;
    }
    RecordEnded(result.ended);
  }

  void RecordEnded(const std::vector<EndedSequence>& all) {
    for (const auto& [sequence, end] : all) {
      const auto found = live_.find(sequence.id);
      ASSERT_NE(found, live_.end()) << "ended twice, or never lived";
      const Live& live = found->second;
      std::vector<int32_t> ids = live.spec.prompt_ids;
      ids.insert(ids.end(), sequence.output_ids.begin(), sequence.output_ids.end());
      ASSERT_EQ(ids, live.ids);
      ASSERT_TRUE(sequence.blocks.empty());
      const bool stopped = sequence.output_count() > int(live.spec.resumed_ids.size()) &&
                           std::count(live.spec.stop_ids.begin(), live.spec.stop_ids.end(),
                                      sequence.output_ids.back()) > 0;
      ASSERT_EQ(end == SequenceEnd::kStop, stopped);
      if (end == SequenceEnd::kLength) {
        ASSERT_EQ(sequence.output_count(), live.spec.max_tokens);
      }
      ASSERT_EQ(end == SequenceEnd::kAborted, live.aborted);
      if (end == SequenceEnd::kExpired) {
        ASSERT_LE(live.spec.deadline, now_);
      }
      ++ended_counts_[end];
      live_.erase(found);
    }
  }

  std::mt19937 random_;
  SchedulerOptions options_;
  std::unique_ptr<Scheduler> scheduler_;
  absl::Time now_ = absl::FromUnixSeconds(1);
  std::vector<Slot> cache_;
  std::map<SequenceId, Live> live_;
  SequenceId last_id_ = 0;
  std::map<bool, SequenceId> latest_started_;
  std::map<SequenceEnd, int> ended_counts_;
  int refused_ = 0;
};

TEST(SchedulerSimulationTest, KeepsItsPromisesInThousandsOfRandomWorkloads) {
  std::map<SequenceEnd, int> ended;
  int refused = 0;
  for (uint32_t seed = 0; seed < 4000; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    Simulation simulation(seed);
    simulation.Run();
    if (HasFailure()) return;
    for (const SequenceEnd end :
         {SequenceEnd::kStop, SequenceEnd::kLength, SequenceEnd::kAborted, SequenceEnd::kExpired}) {
      ended[end] += simulation.ended(end);
    }
    refused += simulation.refused();
  }
  // The workloads must exercise every way out.
  EXPECT_GT(ended[SequenceEnd::kStop], 1000);
  EXPECT_GT(ended[SequenceEnd::kLength], 1000);
  EXPECT_GT(ended[SequenceEnd::kAborted], 1000);
  EXPECT_GT(ended[SequenceEnd::kExpired], 1000);
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace vallm::engine
