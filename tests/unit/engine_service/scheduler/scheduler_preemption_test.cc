// Tables that grow, and what happens when no block is left.
#include "gmock/gmock.h"
#include "tests/unit/engine_service/scheduler/scheduler_fixture.h"

namespace vallm::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SchedulerPreemptionTest : public SchedulerTest {
 protected:
  // 10 blocks of 4 positions, and a budget that swallows every prompt whole.
  void SetUp() override {
    options_.max_num_batched_tokens = 64;
    Use(options_);
  }
  void RunSteps(int count) {
    for (int i = 0; i < count; ++i) RunStep();
  }
  void RunUntilPreemption() {
    while (scheduler_->counters().preemptions == 0) RunStep();
  }

  SchedulerOptions options_ = SmallOptions();
};

TEST_F(SchedulerPreemptionTest, TablesGrowBlockByBlock) {
  Submitted(Prompt(4, 20));
  RunStep();
  EXPECT_EQ(scheduler_->num_free_blocks(), 9) << "its 4 tokens, not its worst case";
  RunStep();
  EXPECT_EQ(scheduler_->num_free_blocks(), 8);
  RunSteps(3);
  EXPECT_EQ(scheduler_->num_free_blocks(), 8);
  RunStep();
  EXPECT_EQ(scheduler_->num_free_blocks(), 7);
}

TEST_F(SchedulerPreemptionTest, TheLastByRankGivesWayAndComesBackWithItsTokens) {
  const SequenceId a = Submitted(Prompt(16, 20));
  const SequenceId b = Submitted(Prompt(16, 20));
  EXPECT_THAT(RunStep(), ElementsAre(a, b));  // 4 + 4 blocks of 10
  RunSteps(4);                                // 5 + 5
  EXPECT_EQ(scheduler_->num_free_blocks(), 0);
  EXPECT_THAT(RunStep(), ElementsAre(a)) << "which takes a block of b's";
  EXPECT_EQ(scheduler_->counters().preemptions, 1);
  EXPECT_EQ(scheduler_->num_waiting(), 1);
  while (ended_.empty()) EXPECT_THAT(RunStep(), ElementsAre(a));
  EXPECT_THAT(RunStep(), ElementsAre(b));
  EXPECT_THAT(ChunkSizes(), ElementsAre(16 + 5)) << "the prompt and 5 tokens, computed again";
  ASSERT_EQ(plan_.rows.size(), 1u);
  EXPECT_EQ(plan_.rows[0].output_position, 5);
  EXPECT_THAT(plan_.started, IsEmpty()) << "it started long ago";
  while (ended_.size() < 2) RunStep();
  EXPECT_EQ(ended_[1].sequence.output_count(), 20);
  EXPECT_EQ(ended_[1].sequence.preemption_count, 1);
  EXPECT_EQ(scheduler_->num_free_blocks(), 10);
}

TEST_F(SchedulerPreemptionTest, AWorsePriorityGivesWayThoughItCameFirst) {
  SequenceSpec worse = Prompt(16, 20);
  worse.priority = 5;
  Submitted(worse);
  RunStep();
  const SequenceId b = Submitted(Prompt(16, 20));
  RunSteps(4);
  RunUntilPreemption();
  EXPECT_THAT(plan_.sequence_ids, ElementsAre(b));
}

TEST_F(SchedulerPreemptionTest, ItGoesBackToItsPlaceBeforeThoseWhoCameLater) {
  options_.max_queue_size = 9;
  Use(options_);
  const SequenceId a = Submitted(Prompt(16, 20));
  const SequenceId b = Submitted(Prompt(16, 20));
  const SequenceId c = Submitted(Prompt(1, 1));
  RunUntilPreemption();
  while (ended_.empty())
    EXPECT_THAT(RunStep(), ElementsAre(a)) << "c would fit, but b is before it";
  EXPECT_THAT(RunStep(), ElementsAre(c, b)) << "one-token chunks come first in a step";
}

TEST_F(SchedulerPreemptionTest, SpareBlocksKeepANewcomerFromBeingDrivenOutAtOnce) {
  const SequenceId a = Submitted(Prompt(15, 20));
  RunStep();                 // 4 blocks; 6 are free
  Submitted(Prompt(24, 1));  // 6, and no spare one for a
  EXPECT_THAT(RunStep(), ElementsAre(a));
  scheduler_->Abort(2);
  const SequenceId b = Submitted(Prompt(16, 1));
  EXPECT_THAT(RunStep(), ElementsAre(a, b));
}

TEST_F(SchedulerPreemptionTest, AbortsAndDeadlinesReachThePreempted) {
  const SequenceId a = Submitted(Prompt(16, 20));
  SequenceSpec spec = Prompt(16, 20);
  spec.deadline = now_ + absl::Seconds(5);
  const SequenceId b = Submitted(spec);
  RunUntilPreemption();
  now_ += absl::Seconds(6);
  EXPECT_THAT(RunStep(), ElementsAre(a));
  ASSERT_EQ(ended_.size(), 1u);
  EXPECT_EQ(ended_[0].sequence.id, b);
  EXPECT_EQ(ended_[0].end, SequenceEnd::kExpired);
  EXPECT_EQ(ended_[0].sequence.output_count(), 5) << "it keeps what it was given";
}

}  // namespace
}  // namespace vallm::engine
