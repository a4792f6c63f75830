#include "gateway/generation/move_policy.h"

#include "gtest/gtest.h"

namespace vallm::gateway {
namespace {

using Action = MovePolicy::Action;

class MovePolicyTest : public ::testing::Test {
 protected:
  MovePolicy::Decision Die(bool yielded, bool taken = true) {
    policy_.OnRunEnded(yielded);
    return policy_.OnDeath(taken, now_, /*jitter=*/0.5);
  }
  MovePolicy::Decision Refuse(bool full = false) {
    policy_.OnRunEnded(/*yielded=*/false);
    return policy_.OnRefused(full, now_, /*jitter=*/0.5);
  }

  MovePolicy policy_{{.fruitless_deaths = 2,
                      .deaths = 6,
                      .failover_timeout = absl::Seconds(30),
                      .queue_timeout = absl::Seconds(90)}};
  absl::Time now_ = absl::UnixEpoch();
};

TEST_F(MovePolicyTest, AFirstDeathMovesAtOnce) {
  const MovePolicy::Decision decision = Die(/*yielded=*/true);
  EXPECT_EQ(decision.action, Action::kRunAgain);
  EXPECT_EQ(decision.delay, absl::ZeroDuration());
}

TEST_F(MovePolicyTest, TwoDeathsWithoutATokenAreQuarantined) {
  EXPECT_EQ(Die(false).action, Action::kRunAgain);
  EXPECT_EQ(Die(false).action, Action::kQuarantine);
}

TEST_F(MovePolicyTest, ADeathOnTheWayCountsHalf) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Die(false, /*taken=*/false).action, Action::kRunAgain);
  EXPECT_EQ(Die(false, /*taken=*/false).action, Action::kQuarantine);
}

TEST_F(MovePolicyTest, ARequestThatCrashesAtItsNthTokenIsMovedTwice) {
  EXPECT_EQ(Die(true).action, Action::kRunAgain);
  EXPECT_EQ(Die(false).action, Action::kRunAgain);
  EXPECT_EQ(Die(false).action, Action::kQuarantine);
  EXPECT_EQ(policy_.deaths(), 3);
}

TEST_F(MovePolicyTest, ATokenBetweenTwoDeathsForgives) {
  EXPECT_EQ(Die(false).action, Action::kRunAgain);
  EXPECT_EQ(Die(true).action, Action::kRunAgain);
  EXPECT_EQ(Die(false).action, Action::kRunAgain);
  EXPECT_EQ(Die(true).action, Action::kRunAgain);
}

TEST_F(MovePolicyTest, ManyDeathsAreQuarantinedThoughTokensCome) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Die(true).action, Action::kRunAgain);
  EXPECT_EQ(Die(true).action, Action::kQuarantine);
}

TEST_F(MovePolicyTest, StalledRunsAreLeftTwiceInARow) {
  EXPECT_TRUE(policy_.MayLeaveStalled(/*yielded=*/true));
  EXPECT_TRUE(policy_.MayLeaveStalled(false));
  EXPECT_FALSE(policy_.MayLeaveStalled(false));
  EXPECT_FALSE(policy_.MayLeaveStalled(false));
  EXPECT_TRUE(policy_.MayLeaveStalled(true));
  EXPECT_EQ(policy_.deaths(), 0);
}

TEST_F(MovePolicyTest, RefusalsAreNoDeaths) {
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Refuse().action, Action::kRunAgain);
  EXPECT_EQ(policy_.deaths(), 0);
}

TEST_F(MovePolicyTest, RefusalsBackOff) {
  EXPECT_EQ(Refuse().delay, absl::Milliseconds(50));
  EXPECT_EQ(Refuse().delay, absl::Milliseconds(100));
  EXPECT_EQ(Refuse().delay, absl::Milliseconds(200));
  for (int i = 0; i < 10; ++i) EXPECT_LE(Refuse().delay, absl::Seconds(1));
  EXPECT_EQ(Refuse().delay, absl::Seconds(1));
  EXPECT_LT(policy_.OnRefused(false, now_, 0).delay, policy_.OnRefused(false, now_, 0.99).delay);
}

TEST_F(MovePolicyTest, GivesUpWhenNobodyHasTakenItForTooLong) {
  EXPECT_EQ(policy_.patience(now_), absl::Seconds(30));
  EXPECT_EQ(Die(true).action, Action::kRunAgain);
  now_ += absl::Seconds(29);
  EXPECT_EQ(policy_.patience(now_), absl::Seconds(1));
  EXPECT_EQ(Refuse().action, Action::kRunAgain);
  now_ += absl::Seconds(1);
  EXPECT_EQ(policy_.patience(now_), absl::ZeroDuration());
  EXPECT_EQ(Refuse().action, Action::kGiveUp);
}

TEST_F(MovePolicyTest, AFullQueueIsWaitedForAsOursIs) {
  EXPECT_EQ(Refuse(/*full=*/true).action, Action::kRunAgain);
  now_ += absl::Seconds(89);
  EXPECT_EQ(Refuse(/*full=*/true).action, Action::kRunAgain);
  EXPECT_EQ(policy_.patience(now_), absl::Seconds(30)) << "nothing is lost";
  // It goes away, which is another wait, and comes back as full as it was.
  EXPECT_EQ(Refuse().action, Action::kRunAgain);
  EXPECT_EQ(policy_.patience(now_), absl::Seconds(30));
  now_ += absl::Seconds(1);
  EXPECT_EQ(Refuse(/*full=*/true).action, Action::kGiveUp);
}

TEST_F(MovePolicyTest, ATokenStartsTheTimeAnew) {
  EXPECT_EQ(Refuse().action, Action::kRunAgain);
  now_ += absl::Seconds(60);
  policy_.OnRunEnded(/*yielded=*/true);
  EXPECT_EQ(policy_.patience(now_), absl::Seconds(30));
  const MovePolicy::Decision decision = policy_.OnRefused(false, now_, 0.5);
  EXPECT_EQ(decision.action, Action::kRunAgain);
  EXPECT_EQ(decision.delay, absl::Milliseconds(50));
}

}  // namespace
}  // namespace vallm::gateway
