#include "tools/bench/traffic.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "tools/bench/statistics.h"

namespace vallm::tools {
namespace {

std::vector<double> Intervals(const std::vector<double>& due) {
  std::vector<double> intervals;
  for (size_t i = 1; i < due.size(); ++i) intervals.push_back(due[i] - due[i - 1]);
  return intervals;
}

TEST(TrafficTest, WithoutARateEverythingIsDueAtOnce) {
  const std::vector<double> due = MakeSchedule({}, 5, 1);
  EXPECT_EQ(due, std::vector<double>(5, 0));
  EXPECT_FALSE(IsOpenLoop({}));
}

// A gamma distribution of shape k has mean theta * k and standard deviation theta * sqrt(k).
TEST(TrafficTest, IntervalsHaveTheMeanAndTheBurstinessAskedFor) {
  for (const double burstiness : {0.25, 1.0, 4.0}) {
    const TrafficOptions options = {.request_rate = 5, .burstiness = burstiness};
    const std::vector<double> intervals = Intervals(MakeSchedule(options, 100001, 7));
    EXPECT_NEAR(Mean(intervals), 0.2, 0.01) << burstiness;
    EXPECT_NEAR(StandardDeviation(intervals), 0.2 / std::sqrt(burstiness), 0.01) << burstiness;
  }
}

TEST(TrafficTest, BeginsAtOnceInOrderAndTheSameForASeed) {
  const TrafficOptions options = {.request_rate = 100};
  const std::vector<double> due = MakeSchedule(options, 50, 3);
  EXPECT_EQ(due.front(), 0);
  EXPECT_TRUE(std::is_sorted(due.begin(), due.end()));
  EXPECT_EQ(due, MakeSchedule(options, 50, 3));
  EXPECT_NE(due, MakeSchedule(options, 50, 4));
}

TEST(TrafficTest, ARampGoesFromOneRateToTheOther) {
  for (const char* strategy : {"linear", "exponential"}) {
    const TrafficOptions options = {
        .ramp_up_strategy = strategy, .ramp_up_start_rps = 1, .ramp_up_end_rps = 100};
    EXPECT_TRUE(IsOpenLoop(options));
    const std::vector<double> intervals = Intervals(MakeSchedule(options, 20001, 1));
    const std::vector<double> first(intervals.begin(), intervals.begin() + 200);
    const std::vector<double> last(intervals.end() - 2000, intervals.end());
    EXPECT_GT(Mean(first), 0.4) << strategy;
    EXPECT_LT(Mean(last), 0.02) << strategy;
  }
}

}  // namespace
}  // namespace vallm::tools
