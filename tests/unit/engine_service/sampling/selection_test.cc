#include "engine_service/sampling/selection.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vallm::engine {
namespace {

using ::testing::ElementsAre;

std::vector<ScoredToken> FullSort(std::span<const float> logits, int64_t count) {
  std::vector<int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  std::stable_sort(ids.begin(), ids.end(),
                   [&](int32_t a, int32_t b) { return logits[a] > logits[b]; });
  std::vector<ScoredToken> sorted;
  for (const int32_t id : ids) {
    if (static_cast<int64_t>(sorted.size()) < count) sorted.push_back({id, logits[id]});
  }
  return sorted;
}

TEST(SelectBestTest, PutsTheLowerIdFirstOnATie) {
  const std::vector<float> logits = {1, 3, 2, 3, 3};
  std::vector<ScoredToken> best;
  SelectBest(logits, 2, best);
  EXPECT_THAT(best, ElementsAre(ScoredToken{1, 3}, ScoredToken{3, 3}));
}

TEST(SelectBestTest, GivesAllWhenAskedForMoreThanThereIs) {
  const std::vector<float> logits = {-std::numeric_limits<float>::infinity(), 5};
  std::vector<ScoredToken> best = {{9, 9}};
  SelectBest(logits, 100, best);
  EXPECT_THAT(best, ElementsAre(ScoredToken{1, 5}, ScoredToken{0, logits[0]}));
}

TEST(SelectBestTest, EqualsAFullSortForEverySizeAndCount) {
  std::mt19937 random(1);
  std::vector<ScoredToken> best;
  for (const int size : {1, 2, 63, 64, 65, 200, 1000, 20000}) {
    // Few distinct values make many ties; many make few.
    for (const int distinct : {1, 3, 50, 1000000}) {
      std::vector<float> logits(size);
      for (float& logit : logits) logit = static_cast<float>(random() % distinct) - distinct / 2;
      for (const int64_t count : {1, 2, 20, 64, 999, size - 1, size}) {
        if (count < 1) continue;
        SelectBest(logits, count, best);
        ASSERT_EQ(best, FullSort(logits, count)) << size << " " << distinct << " " << count;
      }
    }
  }
}

TEST(SelectBestTest, SurvivesTheWorstOrder) {
  std::vector<float> rising(150000);
  std::iota(rising.begin(), rising.end(), 0.0f);
  std::vector<ScoredToken> best;
  SelectBest(rising, 20, best);
  EXPECT_EQ(best, FullSort(rising, 20));
}

}  // namespace
}  // namespace vallm::engine
