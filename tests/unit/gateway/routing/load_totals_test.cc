#include "gateway/routing/load_totals.h"

#include "gtest/gtest.h"

namespace vallm::gateway {
namespace {

v1::Load Counted(int64_t generated, int64_t preemptions = 0) {
  v1::Load load;
  load.set_state(v1::INSTANCE_STATE_SERVING);
  load.set_generated_token_count(generated);
  load.set_preemption_count(preemptions);
  return load;
}

TEST(LoadFollower, TellsWhatWasAdded) {
  LoadFollower follower;
  EXPECT_EQ(follower.Advance("a", Counted(10), /*from_zero=*/true).generated_tokens, 10);
  const LoadTotals grown = follower.Advance("a", Counted(25, 2), true);
  EXPECT_EQ(grown.generated_tokens, 15);
  EXPECT_EQ(grown.preemptions, 2);
  EXPECT_EQ(follower.Advance("a", Counted(25, 2), true).generated_tokens, 0);
}

TEST(LoadFollower, WhatWasBeforeCountsOnRequestOnly) {
  LoadFollower follower;
  EXPECT_EQ(follower.Advance("a", Counted(1000), /*from_zero=*/false).generated_tokens, 0);
  EXPECT_EQ(follower.Advance("a", Counted(1001), /*from_zero=*/false).generated_tokens, 1);
}

TEST(LoadFollower, ARestartedEngineCountsFromZero) {
  LoadFollower follower;
  follower.Advance("a", Counted(100), true);
  EXPECT_EQ(follower.Advance("a", Counted(7), true).generated_tokens, 7);
}

TEST(LoadFollower, TheTotalGoesOnOverRestarts) {
  LoadFollower follower;
  for (const int64_t count : {100, 130, 7, 9}) follower.Advance("a", Counted(count), true);
  EXPECT_EQ(follower.Total("a").generated_tokens, 139);
  EXPECT_EQ(follower.Total("b").generated_tokens, 0);
}

TEST(LoadFollower, AnUnreachableOneStaysWhereItWas) {
  LoadFollower follower;
  follower.Advance("a", Counted(100), true);
  EXPECT_EQ(follower.Advance("a", v1::Load(), true).generated_tokens, 0);
  EXPECT_EQ(follower.Advance("a", Counted(105), true).generated_tokens, 5);
}

TEST(LoadFollower, InstancesAreApart) {
  LoadFollower follower;
  follower.Advance("a", Counted(100), true);
  EXPECT_EQ(follower.Advance("b", Counted(3), true).generated_tokens, 3);
}

}  // namespace
}  // namespace vallm::gateway
