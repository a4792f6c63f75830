#include "engine_service/scheduler/kv_block_pool.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vallm::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Optional;
using ::testing::UnorderedElementsAre;

TEST(KvBlockPoolTest, HandsOutEveryBlockOnce) {
  KvBlockPool pool(5);
  EXPECT_THAT(pool.Allocate(2), Optional(ElementsAre(0, 1)));
  EXPECT_THAT(pool.Allocate(3), Optional(UnorderedElementsAre(2, 3, 4)));
  EXPECT_EQ(pool.num_free(), 0);
  EXPECT_THAT(pool.Allocate(0), Optional(IsEmpty()));
}

TEST(KvBlockPoolTest, RefusesWholeWhenTooFewAreFree) {
  KvBlockPool pool(3);
  ASSERT_TRUE(pool.Allocate(2).has_value());
  EXPECT_EQ(pool.Allocate(2), std::nullopt);
  EXPECT_EQ(pool.num_free(), 1) << "a refusal takes nothing";
}

TEST(KvBlockPoolTest, ReusesWhatWasFreedLast) {
  KvBlockPool pool(8);
  const auto first = pool.Allocate(3);
  const auto second = pool.Allocate(3);
  pool.Free(*first);
  EXPECT_THAT(pool.Allocate(3), Optional(ElementsAre(0, 1, 2)));
  pool.Free(*second);
  EXPECT_EQ(pool.num_free(), 5);
}

TEST(KvBlockPoolDeathTest, RefusesToFreeWhatIsFreeOrForeign) {
  KvBlockPool pool(2);
  const std::vector<int32_t> free_block = {1}, foreign = {2}, negative = {-1};
  EXPECT_DEATH(pool.Free(free_block), "block 1 is free already");
  EXPECT_DEATH(pool.Free(foreign), "block 2 is not in the pool");
  EXPECT_DEATH(pool.Free(negative), "block -1 is not in the pool");
}

}  // namespace
}  // namespace vallm::engine
