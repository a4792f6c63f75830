#include "tokenizer_service/segment_cache.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace vallm::tokenizer {
namespace {

SegmentCache::Ids Ids(std::vector<int32_t> ids) {
  return std::make_shared<const std::vector<int32_t>>(std::move(ids));
}

std::string Text(int n) { return "segment " + std::to_string(n); }

TEST(SegmentCacheTest, FindsWhatWasPut) {
  SegmentCache cache(10'000);
  EXPECT_EQ(cache.Find("a"), nullptr);
  cache.Put("a", Ids({1, 2}));
  ASSERT_NE(cache.Find("a"), nullptr);
  EXPECT_EQ(*cache.Find("a"), (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(cache.Find("b"), nullptr);
  EXPECT_EQ(cache.stats().hits, 2);
  EXPECT_EQ(cache.stats().misses, 2);
}

TEST(SegmentCacheTest, KeepsWhatWasUsedLast) {
  SegmentCache cache(1'000);  // three of these segments
  for (int i = 0; i < 3; ++i) cache.Put(Text(i), Ids({i}));
  EXPECT_EQ(cache.stats().segments, 3u);
  EXPECT_NE(cache.Find(Text(0)), nullptr);
  cache.Put(Text(3), Ids({3}));
  EXPECT_EQ(cache.Find(Text(1)), nullptr);
  EXPECT_NE(cache.Find(Text(0)), nullptr);
  EXPECT_NE(cache.Find(Text(2)), nullptr);
  EXPECT_NE(cache.Find(Text(3)), nullptr);
}

TEST(SegmentCacheTest, NeverHoldsMoreThanItMay) {
  SegmentCache cache(5'000);
  for (int i = 0; i < 1000; ++i) {
    cache.Put(Text(i), Ids(std::vector<int32_t>(static_cast<size_t>(i % 300), i)));
    EXPECT_LE(cache.stats().bytes, 5'000u);
  }
  cache.Put(std::string(6'000, 'x'), Ids({1}));
  EXPECT_EQ(cache.Find(std::string(6'000, 'x')), nullptr);
  EXPECT_GT(cache.stats().segments, 0u);
}

TEST(SegmentCacheTest, IdsOutliveTheirEntry) {
  SegmentCache cache(300);
  cache.Put("a", Ids({1}));
  const SegmentCache::Ids kept = cache.Find("a");
  cache.Put("b", Ids({2}));
  EXPECT_EQ(cache.Find("a"), nullptr);
  EXPECT_EQ(*kept, std::vector<int32_t>{1});
}

TEST(SegmentCacheTest, ThreadsSeeWholeEntries) {
  SegmentCache cache(3'000);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&cache, t] {
      for (int i = 0; i < 5'000; ++i) {
        const int n = (i * (t + 3)) % 17;
        if (const SegmentCache::Ids ids = cache.Find(Text(n))) {
          ASSERT_EQ(*ids, (std::vector<int32_t>{n, n}));
        } else {
          cache.Put(Text(n), Ids({n, n}));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(cache.stats().bytes, 3'000u);
}

}  // namespace
}  // namespace vallm::tokenizer
