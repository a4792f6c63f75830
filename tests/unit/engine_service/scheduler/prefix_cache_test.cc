#include "engine_service/scheduler/prefix_cache.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vallm::engine {
namespace {

using Ids = std::vector<int32_t>;

class PrefixCacheTest : public ::testing::Test {
 protected:
  int32_t BlockOf(PrefixId parent, const Ids& ids, const std::string& salt = "") const {
    const auto found = cache_.Find(parent, salt, ids);
    return found.has_value() ? found->block : -1;
  }

  PrefixCache cache_{8};
};

TEST_F(PrefixCacheTest, ABlockIsKnownByAllTokensUpToItsEnd) {
  const PrefixId a = cache_.Insert(kEmptyPrefix, -1, "", Ids{1, 2}, 5);
  const PrefixId b = cache_.Insert(kEmptyPrefix, -1, "", Ids{3, 4}, 6);
  cache_.Insert(a, 5, "", Ids{3, 4}, 7);
  EXPECT_EQ(BlockOf(kEmptyPrefix, {1, 2}), 5);
  EXPECT_EQ(BlockOf(kEmptyPrefix, {3, 4}), 6);
  EXPECT_EQ(BlockOf(a, {3, 4}), 7);
  EXPECT_EQ(BlockOf(b, {3, 4}), -1);
  EXPECT_EQ(BlockOf(a, {1, 2}), -1);
  EXPECT_EQ(BlockOf(a, {3, 5}), -1);
  EXPECT_EQ(BlockOf(a, {3}), -1);
  EXPECT_EQ(cache_.size(), 3);
}

TEST_F(PrefixCacheTest, SaltsShareNothing) {
  const PrefixId a = cache_.Insert(kEmptyPrefix, -1, "tenant a", Ids{1, 2}, 0);
  EXPECT_EQ(BlockOf(kEmptyPrefix, {1, 2}), -1);
  EXPECT_EQ(BlockOf(kEmptyPrefix, {1, 2}, "tenant b"), -1);
  const PrefixId b = cache_.Insert(kEmptyPrefix, -1, "tenant b", Ids{1, 2}, 1);
  EXPECT_EQ(BlockOf(kEmptyPrefix, {1, 2}, "tenant a"), 0);
  EXPECT_EQ(BlockOf(kEmptyPrefix, {1, 2}, "tenant b"), 1);
  cache_.Insert(a, 0, "tenant a", Ids{3, 4}, 2);
  EXPECT_EQ(BlockOf(a, {3, 4}, "tenant a"), 2);
  EXPECT_EQ(BlockOf(b, {3, 4}, "tenant b"), -1);
}

TEST_F(PrefixCacheTest, WhatWasErasedIsNotFoundAndItsNumberNeverComesBack) {
  const PrefixId a = cache_.Insert(kEmptyPrefix, -1, "", Ids{1, 2}, 0);
  const PrefixId child = cache_.Insert(a, 0, "", Ids{3, 4}, 1);
  cache_.Erase(1);
  EXPECT_EQ(BlockOf(a, {3, 4}), -1);
  EXPECT_NE(cache_.Insert(a, 0, "", Ids{3, 4}, 2), child);
  EXPECT_EQ(BlockOf(a, {3, 4}), 2);
}

TEST_F(PrefixCacheTest, ClearGivesWhatWasKnown) {
  const PrefixId a = cache_.Insert(kEmptyPrefix, -1, "", Ids{1, 2}, 3);
  cache_.Insert(a, 3, "", Ids{3, 4}, 1);
  EXPECT_THAT(cache_.Clear(), ::testing::UnorderedElementsAre(3, 1));
  EXPECT_EQ(cache_.size(), 0);
  EXPECT_EQ(BlockOf(kEmptyPrefix, {1, 2}), -1);
  cache_.Insert(kEmptyPrefix, -1, "", Ids{1, 2}, 3);
  EXPECT_EQ(BlockOf(kEmptyPrefix, {1, 2}), 3);
}

using PrefixCacheDeathTest = PrefixCacheTest;
TEST_F(PrefixCacheDeathTest, ChecksTheTree) {
  const PrefixId a = cache_.Insert(kEmptyPrefix, -1, "", Ids{1, 2}, 0);
  cache_.Insert(a, 0, "", Ids{3, 4}, 1);
  EXPECT_DEATH(cache_.Erase(0), "goes before its children");
  EXPECT_DEATH(cache_.Erase(2), "is not known");
  EXPECT_DEATH(cache_.Insert(kEmptyPrefix, -1, "", Ids{5, 6}, 0), "is known already");
  EXPECT_DEATH(cache_.Insert(kEmptyPrefix, -1, "", Ids{1, 2}, 2), "another block holds");
  EXPECT_DEATH(cache_.Insert(a + 100, 0, "", Ids{5, 6}, 2), "does not end the parent");
}

}  // namespace
}  // namespace vallm::engine
