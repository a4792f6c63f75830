// Thousands of random workloads against a simulated model that computes tokens from nothing but
// what the KV slots hold: whoever reads a block that is not what its own tokens would have written
// gets other tokens than the reference, which knows nothing of scheduling.
#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <tuple>

#include "engine_service/scheduler/scheduler.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

constexpr int32_t kVocab = 50;
constexpr uint64_t kChainStart = 14695981039346656037u;

uint64_t Extend(uint64_t chain, int32_t id) {
  return (chain ^ static_cast<uint64_t>(id + 1)) * 1099511628211u;
}
// The token after the tokens that `chain` stands for.
int32_t NextToken(uint64_t chain) { return static_cast<int32_t>((chain >> 20) % kVocab); }

// Output of `spec` when nothing cuts it short.
std::vector<int32_t> Reference(const SequenceSpec& spec) {
  uint64_t chain = kChainStart;
  for (const int32_t id : spec.prompt_ids) chain = Extend(chain, id);
  std::vector<int32_t> output = spec.resumed_ids;
  for (const int32_t id : output) chain = Extend(chain, id);
  while (int32_t(output.size()) < spec.max_tokens) {
    output.push_back(NextToken(chain));
    chain = Extend(chain, output.back());
    if (std::count(spec.stop_ids.begin(), spec.stop_ids.end(), output.back()) > 0) break;
  }
  return output;
}

// Keys and values of one position: they depend on all tokens up to it.
struct Slot {
  uint64_t chain = 0;
  std::string written_under;  // cache_salt of the writer
};

struct Totals {
  std::map<SequenceEnd, int> ended;
  int refused = 0, dropped = 0, preempted = 0, overtaken_by_priority = 0;
  int64_t hit_tokens = 0, draft_tokens = 0, accepted_draft_tokens = 0;
};

class Simulation {
 public:
  Simulation(uint32_t seed, Totals& totals) : random_(seed), totals_(totals) {
    options_.max_batch_size = Pick(1, 6);
    options_.max_num_batched_tokens = options_.max_batch_size + Pick(0, 20);
    options_.max_queue_size = Pick(0, 8);
    options_.block_size = Pick(1, 5);
    options_.num_kv_blocks = Pick(3, 40);
    options_.max_model_len = Pick(2, 60);
    options_.max_input_len = Pick(1, options_.max_model_len - 1);
    options_.enable_prefix_caching = Pick(0, 4) != 0;
    if (Pick(0, 1) == 0) options_.long_prefill_token_threshold = Pick(1, 20);
    if (Pick(0, 2) != 0) options_.max_logit_rows = options_.max_batch_size + Pick(0, 12);
    options_.priority_ageing = absl::Milliseconds(Pick(1, 400));
    scheduler_ = std::make_unique<Scheduler>(options_);
    slots_.resize(static_cast<size_t>(options_.num_kv_blocks) * options_.block_size);
    for (auto& document : documents_) document = RandomIds(options_.max_input_len);
  }

  void Run() {
    const int arrivals = Pick(1, 30);
    int steps = 0;
    while (submitted_ < arrivals || !scheduler_->idle()) {
      while (submitted_ < arrivals && Pick(0, 2) == 0) ASSERT_NO_FATAL_FAILURE(SubmitOne());
      AbortSome(60);
      if (Pick(0, 200) == 0) scheduler_->ResetPrefixCache();
      ASSERT_NO_FATAL_FAILURE(RecordEnded(scheduler_->Sweep(now_)));
      ASSERT_NO_FATAL_FAILURE(CheckBlocks());
      ASSERT_NO_FATAL_FAILURE(StepOnce());
      ASSERT_NO_FATAL_FAILURE(CheckBlocks());
      now_ += absl::Milliseconds(Pick(-2, 20));
      ASSERT_LT(++steps, 20000) << "no progress";
    }
    EXPECT_TRUE(live_.empty()) << "a sequence never ended";
    EXPECT_EQ(scheduler_->num_free_blocks(), options_.num_kv_blocks) << "leaked blocks";
    totals_.hit_tokens += scheduler_->counters().prefix_hit_tokens;
    totals_.preempted += int(scheduler_->counters().preemptions);
    totals_.draft_tokens += scheduler_->counters().draft_tokens;
    totals_.accepted_draft_tokens += scheduler_->counters().accepted_draft_tokens;
    EXPECT_EQ(accepted_, scheduler_->counters().accepted_draft_tokens);
  }

 private:
  struct Live {
    SequenceId id = 0;
    SequenceSpec spec;
    std::vector<int32_t> output;  // as far as the simulation knows
    absl::Time arrival;
    bool aborted = false;
    int steps_at_head = 0;  // spent waiting while nobody ranked before it

    int32_t token_count() const { return int32_t(spec.prompt_ids.size() + output.size()); }
    int32_t TokenAt(int32_t i) const {
      const auto prompt_count = int32_t(spec.prompt_ids.size());
      return i < prompt_count ? spec.prompt_ids[i] : output[i - prompt_count];
    }
    uint64_t ChainTo(int32_t count) const {
      uint64_t chain = kChainStart;
      for (int32_t i = 0; i < count; ++i) chain = Extend(chain, TokenAt(i));
      return chain;
    }
  };

  int Pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
  std::vector<int32_t> RandomIds(int count) {
    std::vector<int32_t> ids(count);
    for (int32_t& id : ids) id = Pick(0, kVocab - 1);
    return ids;
  }
  auto Rank(const Live& live) const {
    return std::make_tuple(live.arrival + live.spec.priority * options_.priority_ageing,
                           live.spec.priority, live.id);
  }
  bool IsRunning(SequenceId id) const {
    return std::any_of(scheduler_->running().begin(), scheduler_->running().end(),
                       [&](const auto& sequence) { return sequence->id == id; });
  }
  std::set<SequenceId> RunningIds() const {
    std::set<SequenceId> ids;
    for (const auto& sequence : scheduler_->running()) ids.insert(sequence->id);
    return ids;
  }

  // ---- Arrivals ------------------------------------------------------------------------------

  // Beginnings of a few documents, the next turn of an earlier conversation, or noise.
  std::vector<int32_t> RandomPrompt() {
    const int length = Pick(1, options_.max_input_len + (Pick(0, 9) == 0 ? 3 : 0));
    std::vector<int32_t> prompt;
    if (const int kind = Pick(0, 3); kind < 2) {
      prompt = documents_[kind];
    } else if (kind == 2 && !conversation_.empty()) {
      prompt = conversation_;
    }
    prompt.resize(std::min<size_t>(prompt.size(), Pick(0, length)));
    const std::vector<int32_t> rest = RandomIds(length - int(prompt.size()));
    prompt.insert(prompt.end(), rest.begin(), rest.end());
    return prompt;
  }

  void SubmitOne() {
    SequenceSpec spec;
    spec.prompt_ids = RandomPrompt();
    spec.max_tokens = Pick(1, std::max(1, options_.max_model_len - int(spec.prompt_ids.size())));
    spec.resumed_ids = RandomIds(Pick(0, 3) == 0 ? Pick(0, spec.max_tokens - 1) : 0);
    if (Pick(0, 1) == 0) spec.stop_ids = RandomIds(2);
    if (Pick(0, 4) == 0) spec.deadline = now_ + absl::Milliseconds(Pick(1, 300));
    if (Pick(0, 2) == 0) spec.priority = Pick(-2, 2);
    if (Pick(0, 3) == 0) spec.cache_salt = Pick(0, 1) == 0 ? "a" : "b";
    ++submitted_;
    Submit(std::move(spec));
  }

  void Submit(SequenceSpec spec) {
    const int64_t positions = spec.prompt_ids.size() + spec.max_tokens - 1;
    const bool fits = int64_t(spec.prompt_ids.size()) <= options_.max_input_len &&
                      positions + 1 <= options_.max_model_len &&
                      positions <= int64_t{options_.num_kv_blocks} * options_.block_size;
    const bool queue_full = scheduler_->num_waiting() >= options_.max_queue_size +
                                                             options_.max_batch_size -
                                                             scheduler_->num_running();
    const auto id = scheduler_->Submit(spec, now_);
    if (!fits || spec.deadline <= now_ || queue_full) {
      ASSERT_EQ(id.status().code(), !fits                   ? absl::StatusCode::kInvalidArgument
                                    : spec.deadline <= now_ ? absl::StatusCode::kDeadlineExceeded
                                                            : absl::StatusCode::kResourceExhausted);
      ++totals_.refused;
      return;
    }
    ASSERT_OK(id);
    ASSERT_GT(*id, last_id_);
    last_id_ = *id;
    last_arrival_ = std::max(last_arrival_, now_);
    live_[*id] = {.id = *id, .spec = spec, .output = spec.resumed_ids, .arrival = last_arrival_};
  }

  void AbortSome(int odds) {
    for (auto& [id, live] : live_) {
      if (Pick(0, odds) != 0) continue;
      scheduler_->Abort(id);
      live.aborted = true;
    }
  }

  // ---- Steps -----------------------------------------------------------------------------------

  // References add up, and no known block was written to since.
  void CheckBlocks() {
    std::map<int32_t, int32_t> references;
    const KvBlockPool& pool = scheduler_->kv().pool();
    for (const auto& sequence : scheduler_->running()) {
      const std::vector<int32_t>& blocks = sequence->table.blocks;
      ASSERT_EQ(std::set<int32_t>(blocks.begin(), blocks.end()).size(), blocks.size());
      for (const int32_t block : blocks) ++references[block];
    }
    int32_t available = 0;
    for (int32_t block = 0; block < options_.num_kv_blocks; ++block) {
      ASSERT_EQ(pool.references(block), references[block]) << "block " << block;
      available += pool.references(block) == 0;
      const uint64_t content = slots_[size_t(block + 1) * options_.block_size - 1].chain;
      if (pool.kept(block) && kept_content_.count(block) > 0) {
        ASSERT_EQ(content, kept_content_[block]) << "a known block was overwritten";
      }
      if (pool.kept(block)) {
        kept_content_[block] = content;
      } else {
        kept_content_.erase(block);
      }
    }
    ASSERT_EQ(available, scheduler_->num_free_blocks());
    ASSERT_TRUE(options_.enable_prefix_caching || scheduler_->num_cached_blocks() == 0);
  }

  // Chains that end at known blocks, per salt: what a newcomer should find.
  std::set<std::pair<uint64_t, std::string>> KnownPrefixes() const {
    std::set<std::pair<uint64_t, std::string>> known;
    for (int32_t block = 0; block < options_.num_kv_blocks; ++block) {
      if (!scheduler_->kv().pool().kept(block)) continue;
      const Slot& last = slots_[size_t(block + 1) * options_.block_size - 1];
      known.insert({last.chain, last.written_under});
    }
    return known;
  }
  int32_t LongestKnown(const Live& live, int32_t token_count,
                       const std::set<std::pair<uint64_t, std::string>>& known) const {
    int32_t count = 0;
    while (count + options_.block_size < token_count &&
           known.count({live.ChainTo(count + options_.block_size), live.spec.cache_salt}) > 0) {
      count += options_.block_size;
    }
    return count;
  }

  // Guesses at what comes next, right more often than not, some of them far too long.
  void GuessSome() {
    for (const auto& sequence : scheduler_->running()) {
      if (Pick(0, 2) == 0) continue;
      const Live& live = live_.at(sequence->id);
      uint64_t chain = live.ChainTo(live.token_count());
      std::vector<int32_t> guess(Pick(0, 1) == 0 ? Pick(0, 4) : Pick(0, 60));
      for (int32_t& id : guess) {
        id = Pick(0, 5) == 0 ? Pick(0, kVocab - 1) : NextToken(chain);
        chain = Extend(chain, id);
      }
      scheduler_->Guess(sequence->id, guess);
    }
    scheduler_->Guess(last_id_ + 1, std::vector<int32_t>{1});
  }

  // Runs the chunk on the slots and decides for a token behind each position that has logits.
  void RunChunk(const StepPlan& plan, size_t index, std::vector<int32_t>& decided) {
    const SequenceChunk& chunk = plan.chunks[index];
    const Live& live = live_.at(plan.sequence_ids[index]);
    const int32_t end = chunk.start_position + chunk.token_count;
    ASSERT_GE(chunk.token_count, 1);
    ASSERT_EQ(chunk.block_count, (end + options_.block_size - 1) / options_.block_size);
    const auto block_of = [&](int32_t position) {
      return plan.block_ids[chunk.block_begin + position / options_.block_size];
    };
    const auto slot = [&](int32_t position) -> Slot& {
      return slots_.at(size_t(block_of(position)) * options_.block_size +
                       position % options_.block_size);
    };
    uint64_t last_chain = kChainStart;
    for (int32_t position = 0; position < chunk.start_position; ++position) {
      ASSERT_EQ(slot(position).written_under, live.spec.cache_salt) << "shared across salts";
      ASSERT_EQ(slot(position).chain, live.ChainTo(position + 1)) << "not what it needs";
    }
    if (chunk.start_position > 0) last_chain = slot(chunk.start_position - 1).chain;
    for (int32_t i = 0; i < chunk.token_count; ++i) {
      const int32_t position = chunk.start_position + i;
      ASSERT_EQ(scheduler_->kv().pool().references(block_of(position)), 1)
          << "writes where others read";
      ASSERT_FALSE(scheduler_->kv().pool().kept(block_of(position))) << "writes to a known block";
      last_chain = Extend(last_chain, plan.token_ids[chunk.token_begin + i]);
      slot(position) = {last_chain, live.spec.cache_salt};
      if (position + 1 >= live.token_count()) decided.push_back(NextToken(last_chain));
    }
    ASSERT_EQ(chunk.logit_count, std::max(0, end - live.token_count() + 1));
  }

  void CheckPlan(const StepPlan& plan, const std::set<SequenceId>& ran_before) {
    ASSERT_LE(int(plan.token_ids.size()), options_.max_num_batched_tokens);
    ASSERT_LE(int(plan.chunks.size()), options_.max_batch_size);
    ASSERT_LE(int(plan.rows.size()), options_.max_logit_rows.value_or(options_.max_batch_size));
    ASSERT_LE(scheduler_->num_running(), options_.max_batch_size);
    const std::set<SequenceId> in_plan(plan.sequence_ids.begin(), plan.sequence_ids.end());
    ASSERT_EQ(in_plan.size(), plan.chunks.size()) << "a sequence runs twice in a step";
    const std::set<SequenceId> running = RunningIds();
    for (const auto& sequence : scheduler_->running()) {
      if (sequence->token_count() - sequence->computed_count == 1) {
        ASSERT_TRUE(in_plan.count(sequence->id)) << "a decode was left out";
      }
    }
    // Who was admitted ranks before all who wait.
    for (const SequenceId admitted : running) {
      if (ran_before.count(admitted) > 0) continue;
      for (const auto& [id, live] : live_) {
        if (running.count(id) > 0) continue;
        ASSERT_LT(Rank(live_.at(admitted)), Rank(live)) << admitted << " overtook " << id;
        totals_.overtaken_by_priority += id < admitted;
      }
    }
    ASSERT_NO_FATAL_FAILURE(CheckProgress(in_plan, ran_before));
  }

  // The header's argument, step by step: who ranks first runs in every step, or waits for no longer
  // than those take who run.
  void CheckProgress(const std::set<SequenceId>& in_plan, const std::set<SequenceId>& ran_before) {
    Live& first = std::min_element(live_.begin(), live_.end(), [&](const auto& a, const auto& b) {
                    return Rank(a.second) < Rank(b.second);
                  })->second;
    if (ran_before.count(first.id) > 0) {
      ASSERT_TRUE(IsRunning(first.id)) << "who ranks first was preempted";
    }
    if (IsRunning(first.id)) {
      ASSERT_TRUE(in_plan.count(first.id)) << "who ranks first was left out";
    } else {
      ASSERT_LE(++first.steps_at_head, options_.max_batch_size * 2 * options_.max_model_len);
    }
  }

  void StepOnce() {
    const auto known = KnownPrefixes();
    const std::set<SequenceId> ran_before = RunningIds();
    StepPlan plan;
    GuessSome();
    scheduler_->PlanStep(now_, plan);
    if (plan.empty()) {
      ASSERT_TRUE(scheduler_->idle()) << "somebody waits and nobody runs";
      return;
    }
    ASSERT_NO_FATAL_FAILURE(CheckBlocks());
    ASSERT_NO_FATAL_FAILURE(CheckPlan(plan, ran_before));
    const bool evicted = KnownPrefixes() != known;
    for (size_t i = 0; i < plan.chunks.size(); ++i) {
      const Live& live = live_.at(plan.sequence_ids[i]);
      if (!evicted && options_.enable_prefix_caching && ran_before.count(live.id) == 0) {
        ASSERT_EQ(plan.chunks[i].start_position, LongestKnown(live, live.token_count(), known));
      }
    }
    std::vector<int32_t> tokens;
    for (size_t i = 0; i < plan.chunks.size(); ++i) {
      std::vector<int32_t> decided;
      ASSERT_NO_FATAL_FAILURE(RunChunk(plan, i, decided));
      bool holds = true;  // what the row supposes
      for (size_t k = 0; k < decided.size(); ++k) {
        const StepPlan::Row& row = plan.rows.at(tokens.size());
        ASSERT_EQ(row.sequence_id, plan.sequence_ids[i]);
        ASSERT_EQ(row.output_position, int(live_.at(row.sequence_id).output.size() + k));
        ASSERT_EQ(row.guess == kNoToken, k + 1 == decided.size());
        tokens.push_back(holds ? decided[k] : kNoToken);
        holds = holds && decided[k] == row.guess;
      }
    }
    ASSERT_EQ(tokens.size(), plan.rows.size());
    if (Pick(0, 9) == 0) AbortSome(60);
    if (Pick(0, 300) == 0) return LoseTheWorkers();
    Scheduler::CommitResult result = scheduler_->Commit(plan, tokens, now_);
    SequenceId previous = 0;
    for (const auto& [id, token] : result.tokens) {
      ASSERT_FALSE(live_.at(id).aborted) << "a token after the abort";
      live_.at(id).output.push_back(token);
      accepted_ += id == previous;
      previous = id;
    }
    ASSERT_NO_FATAL_FAILURE(RecordEnded(result.ended));
  }

  // The workers die in the middle of a step, and the KV memory with them. Their clients come back
  // with the tokens they have.
  void LoseTheWorkers() {
    const std::vector<Sequence> dropped = scheduler_->Clear();
    ASSERT_EQ(dropped.size(), live_.size());
    ASSERT_TRUE(scheduler_->idle());
    ASSERT_EQ(scheduler_->num_cached_blocks(), 0);
    slots_.assign(slots_.size(), Slot());
    kept_content_.clear();
    std::vector<SequenceSpec> back;
    for (const Sequence& sequence : dropped) {
      const Live& live = live_.at(sequence.id);
      ASSERT_EQ(sequence.output_ids, live.output);
      SequenceSpec spec = live.spec;
      spec.resumed_ids = live.output;
      if (!live.aborted && int32_t(live.output.size()) < spec.max_tokens) back.push_back(spec);
      live_.erase(sequence.id);
    }
    totals_.dropped += int(dropped.size());
    for (SequenceSpec& spec : back) ASSERT_NO_FATAL_FAILURE(Submit(std::move(spec)));
  }

  void RecordEnded(const std::vector<EndedSequence>& all) {
    for (const auto& [sequence, end] : all) {
      const auto found = live_.find(sequence.id);
      ASSERT_NE(found, live_.end()) << "ended twice, or never lived";
      const Live& live = found->second;
      ASSERT_EQ(sequence.output_ids, live.output);
      ASSERT_TRUE(sequence.table.blocks.empty());
      const std::vector<int32_t> reference = Reference(live.spec);
      const bool whole = end == SequenceEnd::kStop || end == SequenceEnd::kLength;
      ASSERT_LE(live.output.size(), reference.size());
      ASSERT_TRUE(std::equal(live.output.begin(), live.output.end(), reference.begin()));
      if (whole) {
        ASSERT_EQ(live.output.size(), reference.size());
        const bool stopped = std::count(live.spec.stop_ids.begin(), live.spec.stop_ids.end(),
                                        live.output.back()) > 0;
        ASSERT_EQ(end, stopped ? SequenceEnd::kStop : SequenceEnd::kLength);
        conversation_ = live.spec.prompt_ids;
        conversation_.insert(conversation_.end(), live.output.begin(), live.output.end());
      }
      ASSERT_EQ(end == SequenceEnd::kAborted, live.aborted);
      if (end == SequenceEnd::kExpired) {
        ASSERT_LE(live.spec.deadline, now_);
      }
      ++totals_.ended[end];
      live_.erase(found);
    }
  }

  std::mt19937 random_;
  Totals& totals_;
  SchedulerOptions options_;
  std::unique_ptr<Scheduler> scheduler_;
  absl::Time now_ = absl::FromUnixSeconds(1);
  absl::Time last_arrival_ = absl::InfinitePast();
  std::vector<Slot> slots_;
  std::map<int32_t, uint64_t> kept_content_;
  std::vector<int32_t> documents_[2];
  std::vector<int32_t> conversation_;  // the one that ended last
  std::map<SequenceId, Live> live_;
  int submitted_ = 0;
  int64_t accepted_ = 0;  // guesses that held
  SequenceId last_id_ = 0;
};

TEST(SchedulerSimulationTest, KeepsItsPromisesInThousandsOfRandomWorkloads) {
  Totals totals;
  for (uint32_t seed = 0; seed < 4000; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    Simulation(seed, totals).Run();
    if (HasFailure()) return;
  }
  // The workloads must exercise everything.
  EXPECT_GT(totals.ended[SequenceEnd::kStop], 1000);
  EXPECT_GT(totals.ended[SequenceEnd::kLength], 1000);
  EXPECT_GT(totals.ended[SequenceEnd::kAborted], 1000);
  EXPECT_GT(totals.ended[SequenceEnd::kExpired], 1000);
  EXPECT_GT(totals.refused, 1000);
  EXPECT_GT(totals.dropped, 1000);
  EXPECT_GT(totals.preempted, 1000);
  EXPECT_GT(totals.overtaken_by_priority, 1000);
  EXPECT_GT(totals.hit_tokens, 10000);
  EXPECT_GT(totals.accepted_draft_tokens, 10000);
  EXPECT_GT(totals.draft_tokens, totals.accepted_draft_tokens + 1000);
}

}  // namespace
}  // namespace vallm::engine
