// What sequences share.
#include "gmock/gmock.h"
#include "tests/unit/engine_service/scheduler/scheduler_fixture.h"

namespace vallm::engine {
namespace {

using ::testing::ElementsAre;

class SchedulerCacheTest : public SchedulerTest {
 protected:
  // 20 blocks of 4 positions.
  void SetUp() override {
    options_.enable_prefix_caching = true;
    options_.num_kv_blocks = 20;
    options_.max_num_batched_tokens = 64;
    Use(options_);
  }
  // Runs it alone to its end.
  Sequence Run(SequenceSpec spec) {
    const size_t before = ended_.size();
    Submitted(std::move(spec));
    while (ended_.size() == before) RunStep();
    return std::move(ended_.back().sequence);
  }
  std::vector<int32_t> BlocksOfChunk(size_t index) const {
    const SequenceChunk& chunk = plan_.chunks[index];
    const auto begin = plan_.block_ids.begin() + chunk.block_begin;
    return {begin, begin + chunk.block_count};
  }

  SchedulerOptions options_ = SmallOptions();
};

TEST_F(SchedulerCacheTest, ASecondRequestSkipsTheFullBlocksOfTheFirst) {
  EXPECT_EQ(Run(Prompt(14, 1)).cached_prompt_count, 0);
  EXPECT_EQ(scheduler_->num_cached_blocks(), 3);
  EXPECT_EQ(scheduler_->num_free_blocks(), 20);
  EXPECT_EQ(Run(Prompt(18, 1)).cached_prompt_count, 12);
  EXPECT_THAT(ChunkSizes(), ElementsAre(6));
  EXPECT_EQ(plan_.chunks[0].start_position, 12);
  EXPECT_EQ(scheduler_->counters().prefix_queried_tokens, 14 + 18);
  EXPECT_EQ(scheduler_->counters().prefix_hit_tokens, 12);
}

TEST_F(SchedulerCacheTest, TheLastTokenIsAlwaysComputed) {
  Run(Prompt(16, 1));
  EXPECT_EQ(Run(Prompt(16, 1)).cached_prompt_count, 12)
      << "the last block is needed for its logits";
  EXPECT_THAT(ChunkSizes(), ElementsAre(4));
  EXPECT_EQ(Run(Prompt(17, 1)).cached_prompt_count, 16);
  EXPECT_THAT(ChunkSizes(), ElementsAre(1));
  EXPECT_EQ(scheduler_->num_cached_blocks(), 4) << "the same content is kept once";
}

TEST_F(SchedulerCacheTest, OutputIsFoundByTheNextTurn) {
  const Sequence first = Run(Prompt(6, 8));
  SequenceSpec next = Prompt(6, 1);
  next.prompt_ids.insert(next.prompt_ids.end(), first.output_ids.begin(), first.output_ids.end());
  next.prompt_ids.push_back(55);
  EXPECT_EQ(Run(next).cached_prompt_count, 12) << "13 positions were computed, 12 in full blocks";
}

TEST_F(SchedulerCacheTest, ResumedTokensAreFoundButDoNotCountAsPrompt) {
  const Sequence first = Run(Prompt(6, 8));
  SequenceSpec resumed = Prompt(6, 8);
  resumed.resumed_ids.assign(first.output_ids.begin(), first.output_ids.end() - 1);
  EXPECT_EQ(Run(resumed).cached_prompt_count, 6);
  EXPECT_THAT(ChunkSizes(), ElementsAre(1));
}

TEST_F(SchedulerCacheTest, RunningSequencesShareBlocks) {
  const SequenceId a = Submitted(Prompt(13, 9));
  RunStep();
  const SequenceId b = Submitted(Prompt(13, 9));
  EXPECT_THAT(RunStep(), ElementsAre(a, b));
  const std::vector<int32_t> of_a = BlocksOfChunk(0), of_b = BlocksOfChunk(1);
  EXPECT_TRUE(std::equal(of_a.begin(), of_a.begin() + 3, of_b.begin()));
  EXPECT_NE(of_a[3], of_b[3]);
  EXPECT_EQ(scheduler_->num_free_blocks(), 20 - 5);
}

TEST_F(SchedulerCacheTest, WhatTwoHaveComputedAtTheSameTimeIsKeptOnce) {
  Submitted(Prompt(9, 9));
  Submitted(Prompt(9, 9));
  RunStep();
  EXPECT_THAT(ChunkSizes(), ElementsAre(9, 9));
  EXPECT_EQ(scheduler_->num_free_blocks(), 20 - 4) << "two blocks shared, one each";
  RunStep();
  const std::vector<int32_t> of_a = BlocksOfChunk(0), of_b = BlocksOfChunk(1);
  EXPECT_EQ(of_a[0], of_b[0]);
  EXPECT_EQ(of_a[1], of_b[1]);
}

TEST_F(SchedulerCacheTest, APromptSkipsWhatItsTwinHasComputedMeanwhile) {
  options_.max_num_batched_tokens = 8;
  options_.long_prefill_token_threshold = 1;
  Use(options_);
  Submitted(Prompt(21, 1));
  Submitted(Prompt(21, 1));
  RunStep();
  EXPECT_THAT(ChunkSizes(), ElementsAre(7, 1));
  RunStep();
  EXPECT_THAT(ChunkSizes(), ElementsAre(7, 1));
  EXPECT_EQ(plan_.chunks[1].start_position, 4) << "the first block was the twin's";
  RunStep();
  EXPECT_EQ(plan_.chunks[1].start_position, 12);
}

TEST_F(SchedulerCacheTest, SaltsShareNothing) {
  SequenceSpec salted = Prompt(14, 1);
  salted.cache_salt = "a";
  Run(Prompt(14, 1));
  EXPECT_EQ(Run(salted).cached_prompt_count, 0);
  EXPECT_EQ(Run(salted).cached_prompt_count, 12);
  salted.cache_salt = "b";
  EXPECT_EQ(Run(salted).cached_prompt_count, 0);
}

TEST_F(SchedulerCacheTest, WhoMustComputeAllSkipsNothingButIsFoundByOthers) {
  SequenceSpec all = Prompt(14, 1);
  all.computes_all = true;
  Run(all);
  EXPECT_EQ(Run(all).cached_prompt_count, 0);
  EXPECT_THAT(ChunkSizes(), ElementsAre(14));
  EXPECT_EQ(Run(Prompt(14, 1)).cached_prompt_count, 12);
}

TEST_F(SchedulerCacheTest, TheLongestUnusedGoesFirstAndFromItsEnd) {
  Run(Prompt(33, 1, 100));  // 8 blocks kept
  Run(Prompt(33, 1, 200));  // 8 more
  EXPECT_EQ(scheduler_->num_cached_blocks(), 16);
  Run(Prompt(33, 1, 300));  // takes 4 free ones and 5 of the first
  EXPECT_EQ(Run(Prompt(34, 1, 200)).cached_prompt_count, 32);
  EXPECT_EQ(Run(Prompt(34, 1, 100)).cached_prompt_count, 12)
      << "3 blocks of its beginning are left";
}

TEST_F(SchedulerCacheTest, APreemptedSequenceFindsWhatIsLeftOfItself) {
  options_.num_kv_blocks = 10;
  Use(options_);
  const SequenceId a = Submitted(Prompt(16, 8, 100));
  const SequenceId b = Submitted(Prompt(16, 8, 200));
  while (scheduler_->counters().preemptions == 0) RunStep();
  while (ended_.empty()) EXPECT_THAT(RunStep(), ElementsAre(a));
  EXPECT_THAT(RunStep(), ElementsAre(b));
  EXPECT_LT(ChunkSizes()[0], 16);
  EXPECT_GT(plan_.chunks[0].start_position, 0);
  RunStep();
  while (ended_.size() < 2) RunStep();
  EXPECT_EQ(ended_[1].sequence.cached_prompt_count, 0) << "that of its first admission";
}

TEST_F(SchedulerCacheTest, AfterAResetNothingIsFound) {
  const SequenceId a = Submitted(Prompt(14, 20));
  RunStep();
  EXPECT_EQ(scheduler_->ResetPrefixCache(), 3);
  const SequenceId b = Submitted(Prompt(14, 1));
  EXPECT_THAT(RunStep(), ElementsAre(a, b));
  EXPECT_THAT(ChunkSizes(), ElementsAre(1, 14));
  EXPECT_EQ(scheduler_->ResetPrefixCache(), 3) << "b's; a shares nothing any more";
  for (int i = 0; i < 8; ++i) RunStep();
  EXPECT_EQ(scheduler_->ResetPrefixCache(), 0);
}

TEST_F(SchedulerCacheTest, ClearForgetsTheCache) {
  Run(Prompt(14, 1));
  scheduler_->Clear();
  EXPECT_EQ(scheduler_->num_cached_blocks(), 0);
  EXPECT_EQ(Run(Prompt(14, 1)).cached_prompt_count, 0);
}

TEST_F(SchedulerCacheTest, WithoutItNothingIsShared) {
  options_.enable_prefix_caching = false;
  Use(options_);
  Run(Prompt(14, 1));
  EXPECT_EQ(scheduler_->num_cached_blocks(), 0);
  EXPECT_EQ(Run(Prompt(14, 1)).cached_prompt_count, 0);
}

}  // namespace
}  // namespace vallm::engine
