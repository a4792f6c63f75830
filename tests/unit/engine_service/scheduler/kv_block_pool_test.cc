#include "engine_service/scheduler/kv_block_pool.h"

#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vallm::engine {
namespace {

// -1 when all are in use.
int32_t Take(KvBlockPool& pool) {
  const auto taken = pool.Allocate();
  return taken.has_value() ? taken->block : -1;
}

TEST(KvBlockPoolTest, HandsOutEveryBlockOnce) {
  KvBlockPool pool(5);
  std::set<int32_t> taken;
  for (int i = 0; i < 5; ++i) taken.insert(Take(pool));
  EXPECT_THAT(taken, ::testing::ElementsAre(0, 1, 2, 3, 4));
  EXPECT_EQ(pool.num_available(), 0);
  EXPECT_EQ(pool.Allocate(), std::nullopt);
}

TEST(KvBlockPoolTest, ABlockIsFreeWhenItsLastReferenceGoes) {
  KvBlockPool pool(1);
  const int32_t block = Take(pool);
  pool.AddReference(block);
  EXPECT_EQ(pool.references(block), 2);
  pool.Release(block);
  EXPECT_EQ(pool.num_available(), 0);
  pool.Release(block);
  EXPECT_EQ(pool.num_available(), 1);
  EXPECT_EQ(pool.num_idle(), 0);
  EXPECT_FALSE(pool.Allocate()->was_kept);
}

TEST(KvBlockPoolTest, ReusesWhatWasFreedLast) {
  KvBlockPool pool(8);
  const int32_t a = Take(pool), b = Take(pool);
  pool.Release(a);
  pool.Release(b);
  EXPECT_EQ(Take(pool), b);
  EXPECT_EQ(Take(pool), a);
}

TEST(KvBlockPoolTest, KeptBlocksGoLastAndTheLongestIdleFirst) {
  KvBlockPool pool(4);
  for (int i = 0; i < 3; ++i) pool.SetKept(Take(pool), true);
  for (const int32_t block : {1, 0, 2}) pool.Release(block);
  EXPECT_EQ(pool.num_idle(), 3);
  EXPECT_EQ(pool.num_available(), 4);
  EXPECT_EQ(Take(pool), 3) << "free before idle";
  pool.AddReference(1);  // wanted again: not idle any more
  const auto evicted = pool.Allocate();
  EXPECT_EQ(evicted->block, 0);
  EXPECT_TRUE(evicted->was_kept);
  EXPECT_FALSE(pool.kept(0)) << "its content is lost";
  pool.Release(1);
  EXPECT_EQ(Take(pool), 2);
  EXPECT_EQ(Take(pool), 1);
  EXPECT_EQ(pool.Allocate(), std::nullopt);
}

TEST(KvBlockPoolTest, AnIdleBlockThatIsNotKeptAnyMoreIsFree) {
  KvBlockPool pool(3);
  for (int i = 0; i < 3; ++i) pool.SetKept(Take(pool), true);
  for (const int32_t block : {0, 1, 2}) pool.Release(block);
  pool.SetKept(1, false);
  EXPECT_EQ(pool.num_idle(), 2);
  EXPECT_EQ(pool.num_available(), 3);
  const auto taken = pool.Allocate();
  EXPECT_EQ(taken->block, 1);
  EXPECT_FALSE(taken->was_kept);
}

TEST(KvBlockPoolDeathTest, RefusesWhatMakesNoSense) {
  KvBlockPool pool(2);
  EXPECT_DEATH(pool.Release(1), "block 1 is not in use");
  EXPECT_DEATH(pool.Release(2), "block 2 is not in the pool");
  EXPECT_DEATH(pool.Release(-1), "block -1 is not in the pool");
  EXPECT_DEATH(pool.AddReference(0), "block 0 is free");
  EXPECT_DEATH(pool.SetKept(0, true), "block 0 is free");
}

}  // namespace
}  // namespace vallm::engine
