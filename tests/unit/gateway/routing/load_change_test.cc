#include "gateway/routing/load_change.h"

#include "gmock/gmock.h"

namespace vallm::gateway {
namespace {

v1::Load LoadOf(v1::InstanceState state, int64_t tokens = 0, int64_t cached = 0,
                int64_t free = 100) {
  v1::Load load;
  load.set_state(state);
  load.set_generated_token_count(tokens);
  load.set_prefix_queried_token_count(tokens);
  load.set_cached_kv_block_count(cached);
  load.set_free_kv_block_count(free);
  return load;
}

constexpr auto kServing = v1::INSTANCE_STATE_SERVING;
constexpr auto kLoading = v1::INSTANCE_STATE_LOADING;
constexpr auto kRestarting = v1::INSTANCE_STATE_RESTARTING;

TEST(LoadChangeTest, TheFirstReportIsNoChange) {
  EXPECT_EQ(CompareLoads(v1::Load(), LoadOf(kLoading)), LoadChange::kNone);
  EXPECT_EQ(CompareLoads(v1::Load(), LoadOf(kServing, 5)), LoadChange::kNone);
}

TEST(LoadChangeTest, ServingOnIsNone) {
  EXPECT_EQ(CompareLoads(LoadOf(kServing, 5, 7), LoadOf(kServing, 5, 7)), LoadChange::kNone);
  EXPECT_EQ(CompareLoads(LoadOf(kServing, 5, 7), LoadOf(kServing, 9, 2, 95)), LoadChange::kNone);
  EXPECT_EQ(CompareLoads(LoadOf(kLoading), LoadOf(kServing)), LoadChange::kNone);
}

TEST(LoadChangeTest, ARestartIsSeenOnce) {
  EXPECT_EQ(CompareLoads(LoadOf(kServing, 5), LoadOf(kRestarting, 5)), LoadChange::kRestarted);
  EXPECT_EQ(CompareLoads(LoadOf(kRestarting, 5), LoadOf(kServing, 5)), LoadChange::kNone);
  EXPECT_EQ(CompareLoads(LoadOf(kServing, 5), LoadOf(kLoading, 0)), LoadChange::kRestarted);
  EXPECT_EQ(CompareLoads(LoadOf(kLoading), LoadOf(kServing)), LoadChange::kNone);
}

TEST(LoadChangeTest, ARestartBehindOurBackShowsInTheCounters) {
  EXPECT_EQ(CompareLoads(LoadOf(kServing, 5), LoadOf(kServing, 2)), LoadChange::kRestarted);
}

TEST(LoadChangeTest, ACacheThatIsEmptiedLeavesItsBlocksFree) {
  EXPECT_EQ(CompareLoads(LoadOf(kServing, 5, 7, 90), LoadOf(kServing, 5, 0, 90)),
            LoadChange::kCacheLost);
  // Requests took all of them.
  EXPECT_EQ(CompareLoads(LoadOf(kServing, 5, 7, 90), LoadOf(kServing, 5, 0, 83)),
            LoadChange::kNone);
}

}  // namespace
}  // namespace vallm::gateway
