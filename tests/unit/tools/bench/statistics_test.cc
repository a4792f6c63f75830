#include "tools/bench/statistics.h"

#include <array>
#include <vector>

#include "gtest/gtest.h"

namespace vallm::tools {
namespace {

// numpy 2.4: np.percentile([3, 1, 4, 1, 5, 9, 2.5], q), np.mean, np.median, np.std.
TEST(StatisticsTest, IsNumpys) {
  const std::array<double, 6> percents = {0, 25, 50, 90, 99, 100};
  const Distribution result = Describe({3, 1, 4, 1, 5, 9, 2.5}, percents);
  EXPECT_DOUBLE_EQ(result.mean, 3.642857142857143);
  EXPECT_DOUBLE_EQ(result.median, 3.0);
  EXPECT_DOUBLE_EQ(result.standard_deviation, 2.573411933521689);
  const std::array<double, 6> values = {1, 1.75, 3, 6.6, 8.76, 9};
  for (size_t i = 0; i < percents.size(); ++i) {
    EXPECT_EQ(result.percentiles[i].first, percents[i]);
    EXPECT_NEAR(result.percentiles[i].second, values[i], 1e-12) << percents[i];
  }
}

TEST(StatisticsTest, AnEvenCountHasItsMedianBetweenTwo) {
  EXPECT_DOUBLE_EQ(Describe({4, 1, 2, 3}, {}).median, 2.5);
}

TEST(StatisticsTest, NothingIsZero) {
  const std::array<double, 1> percents = {99};
  const Distribution result = Describe({}, percents);
  EXPECT_EQ(result.mean, 0);
  EXPECT_EQ(result.standard_deviation, 0);
  EXPECT_EQ(result.percentiles.front().second, 0);
}

}  // namespace
}  // namespace vallm::tools
