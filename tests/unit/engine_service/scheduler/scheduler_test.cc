#include "engine_service/scheduler/scheduler.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/unit/engine_service/scheduler/scheduler_fixture.h"

namespace vallm::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::StatusIs;

TEST_F(SchedulerTest, APromptIsCutAtTheBudgetAndSamplesAtItsEnd) {
  const SequenceId a = Submitted(Prompt(19, 2));
  RunStep();
  EXPECT_THAT(ChunkSizes(), ElementsAre(8));
  EXPECT_THAT(plan_.rows, IsEmpty());
  EXPECT_THAT(plan_.started, ElementsAre(a));
  RunStep();
  EXPECT_EQ(plan_.chunks[0].start_position, 8);
  EXPECT_EQ(plan_.chunks[0].block_count, 4) << "16 positions in blocks of 4";
  EXPECT_EQ(plan_.token_ids.front(), 108);
  EXPECT_THAT(plan_.started, IsEmpty());
  RunStep();
  EXPECT_THAT(ChunkSizes(), ElementsAre(3));
  ASSERT_EQ(plan_.rows.size(), 1u);
  EXPECT_EQ(plan_.rows[0].output_position, 0);
}

TEST_F(SchedulerTest, DecodesComeBeforePrompts) {
  const SequenceId a = Submitted(Prompt(3, 9));
  RunStep();
  const SequenceId b = Submitted(Prompt(12, 2));
  EXPECT_THAT(RunStep(), ElementsAre(a, b));
  EXPECT_THAT(ChunkSizes(), ElementsAre(1, 7));
  EXPECT_THAT(plan_.token_ids[0], kNext);
}

TEST_F(SchedulerTest, RefusesWhatCanNeverFitWithExactNumbers) {
  using absl::StatusCode;
  EXPECT_THAT(Submit(Prompt(0, 1)), StatusIs(StatusCode::kInvalidArgument, "prompt is empty"));
  EXPECT_THAT(Submit(Prompt(1, 0)), StatusIs(StatusCode::kInvalidArgument, "max_tokens is 0"));
  EXPECT_THAT(Submit(Prompt(49, 1)),
              StatusIs(StatusCode::kInvalidArgument, "the prompt has 49 tokens; the limit is 48"));
  EXPECT_THAT(Submit(Prompt(48, 17)),
              StatusIs(StatusCode::kInvalidArgument,
                       "the prompt has 48 tokens and max_tokens is 17, together 65; the model "
                       "length is 64"));
  // 40 positions fit into 10 blocks of 4; the last output token needs none.
  EXPECT_THAT(Submit(Prompt(30, 12)), StatusIs(StatusCode::kInvalidArgument,
                                               "11 KV blocks of 4 positions; the pool has 10"));
  EXPECT_OK(Submit(Prompt(30, 11)));
}

TEST_F(SchedulerTest, BoundsTheQueue) {
  // Two places in the batch and two in the queue.
  for (int i = 0; i < 4; ++i) ASSERT_OK(Submit(Prompt(2, 2)));
  EXPECT_THAT(Submit(Prompt(2, 2)),
              StatusIs(absl::StatusCode::kResourceExhausted, "0 requests run and 4 wait"));
  RunStep();
  EXPECT_THAT(Submit(Prompt(2, 2)),
              StatusIs(absl::StatusCode::kResourceExhausted, "2 requests run and 2 wait"));
  RunStep();
  EXPECT_EQ(ended_.size(), 2u);
  EXPECT_OK(Submit(Prompt(2, 2)));
}

TEST_F(SchedulerTest, TheHeadOfTheQueueIsNotOvertaken) {
  const SequenceId big_running = Submitted(Prompt(20, 5));  // 6 blocks of 10
  RunStep();
  const SequenceId big = Submitted(Prompt(20, 5));
  const SequenceId small = Submitted(Prompt(1, 1));  // would fit right now
  for (int step = 0; step < 6; ++step) EXPECT_THAT(RunStep(), ElementsAre(big_running));
  EXPECT_THAT(RunStep(), ElementsAre(small, big)) << "one-token chunks come first";
}

TEST_F(SchedulerTest, EndsOnAStopIdWhichIsPartOfTheOutput) {
  SequenceSpec spec = Prompt(4, 10);
  spec.stop_ids = {7, 8};
  Submitted(std::move(spec));
  RunStep(5);
  EXPECT_THAT(ended_, IsEmpty());
  RunStep(8);
  ASSERT_EQ(ended_.size(), 1u);
  EXPECT_EQ(ended_[0].end, SequenceEnd::kStop);
  EXPECT_THAT(ended_[0].sequence.output_ids, ElementsAre(5, 8));
  EXPECT_TRUE(scheduler_->idle());
  EXPECT_EQ(scheduler_->num_free_blocks(), 10);
}

TEST_F(SchedulerTest, EndsAtMaxTokens) {
  Submitted(Prompt(4, 3));
  for (int step = 0; step < 3; ++step) RunStep();
  ASSERT_EQ(ended_.size(), 1u);
  EXPECT_EQ(ended_[0].end, SequenceEnd::kLength);
  EXPECT_EQ(ended_[0].sequence.output_count(), 3);
}

TEST_F(SchedulerTest, ResumedTokensArePrefilledAndCountAsOutput) {
  SequenceSpec spec = Prompt(2, 5);
  spec.resumed_ids = {51, 52, 53};
  Submitted(std::move(spec));
  RunStep();
  EXPECT_THAT(plan_.token_ids, ElementsAre(100, 101, 51, 52, 53));
  ASSERT_EQ(plan_.rows.size(), 1u);
  EXPECT_EQ(plan_.rows[0].output_position, 3);
  RunStep();
  ASSERT_EQ(ended_.size(), 1u);
  EXPECT_EQ(ended_[0].end, SequenceEnd::kLength);
  EXPECT_THAT(ended_[0].sequence.output_ids, ElementsAre(51, 52, 53, kNext, kNext));
}

TEST_F(SchedulerTest, AbortTakesEffectAtTheNextStepAndFreesTheBlocks) {
  const SequenceId a = Submitted(Prompt(36, 4));
  const SequenceId waiting = Submitted(Prompt(8, 1));
  EXPECT_THAT(RunStep(), ElementsAre(a));
  EXPECT_EQ(scheduler_->num_free_blocks(), 10 - 9);
  scheduler_->Abort(a);
  scheduler_->Abort(12345);
  EXPECT_THAT(RunStep(), ElementsAre(waiting)) << "which got the blocks at once";
  ASSERT_EQ(ended_.size(), 2u);
  EXPECT_EQ(ended_[0].end, SequenceEnd::kAborted);
  EXPECT_EQ(ended_[0].sequence.id, a);
  EXPECT_EQ(scheduler_->num_free_blocks(), 10);
}

TEST_F(SchedulerTest, ATokenSampledAfterAbortIsDropped) {
  const SequenceId a = Submitted(Prompt(2, 5));
  scheduler_->PlanStep(now_, plan_);
  scheduler_->Abort(a);
  const std::vector<int32_t> tokens = {kNext};
  EXPECT_THAT(scheduler_->Commit(plan_, tokens, now_).tokens, IsEmpty());
  const std::vector<EndedSequence> ended = scheduler_->Sweep(now_);
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_THAT(ended[0].sequence.output_ids, IsEmpty());
}

TEST_F(SchedulerTest, DeadlinesEndWaitingAndRunningSequences) {
  const auto with_deadline = [&](SequenceSpec spec, int seconds) {
    spec.deadline = now_ + absl::Seconds(seconds);
    return spec;
  };
  EXPECT_THAT(Submit(with_deadline(Prompt(2, 2), 0)),
              StatusIs(absl::StatusCode::kDeadlineExceeded, "when the request arrived"));
  const SequenceId running = Submitted(with_deadline(Prompt(20, 21), 10));
  const SequenceId waiting = Submitted(with_deadline(Prompt(20, 21), 5));
  RunStep();
  now_ += absl::Seconds(6);
  EXPECT_THAT(RunStep(), ElementsAre(running));
  now_ += absl::Seconds(6);
  EXPECT_THAT(RunStep(), IsEmpty());
  ASSERT_EQ(ended_.size(), 2u);
  EXPECT_EQ(ended_[0].sequence.id, waiting);
  EXPECT_EQ(ended_[0].end, SequenceEnd::kExpired);
  EXPECT_FALSE(ended_[0].sequence.first_step_time.has_value());
  EXPECT_EQ(ended_[1].sequence.id, running);
  EXPECT_EQ(scheduler_->num_free_blocks(), 10);
}

TEST_F(SchedulerTest, RecordsWhenThingsHappened) {
  Submitted(Prompt(10, 2));
  now_ += absl::Seconds(1);
  RunStep();
  now_ += absl::Seconds(1);
  RunStep();
  now_ += absl::Seconds(1);
  RunStep();
  ASSERT_EQ(ended_.size(), 1u);
  const Sequence& sequence = ended_[0].sequence;
  EXPECT_EQ(sequence.first_step_time, sequence.arrival_time + absl::Seconds(1));
  EXPECT_EQ(sequence.first_token_time, sequence.arrival_time + absl::Seconds(2));
  EXPECT_EQ(sequence.last_token_time, sequence.arrival_time + absl::Seconds(3));
}

TEST_F(SchedulerTest, ClearDropsEverythingEvenMidStep) {
  Submitted(Prompt(4, 4));
  Submitted(Prompt(4, 4));
  Submitted(Prompt(4, 4));
  scheduler_->PlanStep(now_, plan_);
  EXPECT_EQ(scheduler_->Clear().size(), 3u);
  EXPECT_TRUE(scheduler_->idle());
  EXPECT_EQ(scheduler_->num_free_blocks(), 10);
  EXPECT_EQ(Submitted(Prompt(1, 1)), 4);
  EXPECT_THAT(RunStep(), ElementsAre(4));
}

TEST_F(SchedulerTest, EveryPromptGetsItsShareAndTheFirstWhatIsLeft) {
  SchedulerOptions options = SmallOptions();
  options.max_batch_size = 3;
  options.max_num_batched_tokens = 12;
  options.num_kv_blocks = 40;
  options.long_prefill_token_threshold = 3;
  Use(options);
  const SequenceId a = Submitted(Prompt(20, 1));
  const SequenceId b = Submitted(Prompt(20, 1));
  const SequenceId c = Submitted(Prompt(2, 1));
  EXPECT_THAT(RunStep(), ElementsAre(a, b, c));
  EXPECT_THAT(ChunkSizes(), ElementsAre(7, 3, 2)) << "the short prompt is done in its first step";
  EXPECT_THAT(RunStep(), ElementsAre(a, b));
  EXPECT_THAT(ChunkSizes(), ElementsAre(9, 3));
  RunStep();
  EXPECT_THAT(ChunkSizes(), ElementsAre(4, 8));
}

TEST_F(SchedulerTest, ByDefaultTheSharesTakeHalfOfTheBudgetAtMost) {
  SchedulerOptions options = SmallOptions();
  options.max_num_batched_tokens = 20;
  options.num_kv_blocks = 40;
  Use(options);
  Submitted(Prompt(40, 1));
  Submitted(Prompt(40, 1));
  RunStep();
  EXPECT_THAT(ChunkSizes(), ElementsAre(15, 5));
}

TEST_F(SchedulerTest, TheBetterPriorityGoesFirstAndWithinOneTheEarlier) {
  SequenceSpec worse = Prompt(1, 1), better = Prompt(1, 1);
  worse.priority = 1;
  better.priority = -1;
  SchedulerOptions options = SmallOptions();
  options.max_batch_size = 1;
  options.max_queue_size = 9;
  Use(options);
  const SequenceId low = Submitted(worse), first = Submitted(Prompt(1, 1)),
                   second = Submitted(Prompt(1, 1)), high = Submitted(better);
  for (const SequenceId expected : {high, first, second, low}) {
    EXPECT_THAT(RunStep(), ElementsAre(expected));
  }
}

TEST_F(SchedulerTest, WhoWaitsLongEnoughRanksAsTheNextBetterPriority) {
  SchedulerOptions options = SmallOptions();
  options.max_batch_size = 1;
  options.max_queue_size = 9;
  options.priority_ageing = absl::Seconds(10);
  for (const bool ages : {true, false}) {
    if (!ages) options.priority_ageing = absl::InfiniteDuration();
    Use(options);
    SequenceSpec worse = Prompt(1, 1);
    worse.priority = 1;
    const SequenceId waits = Submitted(worse);
    now_ += absl::Seconds(9);
    const SequenceId early = Submitted(Prompt(1, 1));
    now_ += absl::Seconds(2);
    const SequenceId late = Submitted(Prompt(1, 1));
    EXPECT_THAT(RunStep(), ElementsAre(early));
    EXPECT_THAT(RunStep(), ElementsAre(ages ? waits : late));
    EXPECT_THAT(RunStep(), ElementsAre(ages ? late : waits));
  }
}

TEST_F(SchedulerTest, AClockThatIsSetBackChangesNoOrder) {
  const SequenceId first = Submitted(Prompt(9, 1));
  now_ -= absl::Hours(1);
  const SequenceId second = Submitted(Prompt(9, 1));
  EXPECT_THAT(RunStep(), ElementsAre(first, second));
}

TEST_F(SchedulerTest, BlocksForLeavesTheLastTokenOut) {
  EXPECT_EQ(scheduler_->BlocksFor(4, 1), 1);
  EXPECT_EQ(scheduler_->BlocksFor(4, 2), 2);
  EXPECT_EQ(scheduler_->BlocksFor(1, 1), 1);
}

TEST(SchedulerDeathTest, ChecksItsOptionsAndTheOrderOfCalls) {
  SchedulerOptions options = SmallOptions();
  options.max_num_batched_tokens = 1;
  EXPECT_DEATH(Scheduler{options}, "max_num_batched_tokens");
  Scheduler scheduler(SmallOptions());
  SequenceSpec spec;
  spec.prompt_ids = {1};
  spec.max_tokens = 1;
  ASSERT_OK(scheduler.Submit(spec, absl::UnixEpoch()));
  StepPlan plan;
  scheduler.PlanStep(absl::UnixEpoch(), plan);
  EXPECT_DEATH(scheduler.PlanStep(absl::UnixEpoch(), plan), "not committed");
  EXPECT_DEATH(scheduler.Sweep(absl::UnixEpoch()), "under way");
}

}  // namespace
}  // namespace vallm::engine
