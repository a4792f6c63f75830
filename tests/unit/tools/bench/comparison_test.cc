#include "tools/bench/comparison.h"

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/testing/status_matchers.h"
#include "tools/bench/statistics.h"

namespace vallm::tools {
namespace {

using Json = nlohmann::ordered_json;
using ::testing::HasSubstr;
using testing::StatusIs;

Statistic MeanOf(const std::vector<double>& values) {
  return [&values](std::span<const size_t> chosen) {
    double sum = 0;
    for (const size_t i : chosen) sum += values[i];
    return sum / static_cast<double>(chosen.size());
  };
}

std::vector<double> Normal(size_t count, double mean, double deviation, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(mean, deviation);
  std::vector<double> values(count);
  for (double& value : values) value = normal(random);
  return values;
}

// The mean of n values scatters by deviation / sqrt(n), so that the interval is known.
TEST(BootstrapTest, TheIntervalIsAsWideAsTheScatterOfMeans) {
  const std::vector<double> a = Normal(400, 100, 10, 1);
  const std::vector<double> b = Normal(400, 110, 10, 2);
  const Interval interval = BootstrapRelativeDifference(MeanOf(a), 400, MeanOf(b), 400, {});
  const double seen = Mean(b) / Mean(a) - 1;
  // Both means scatter by 0.5, of 100 and 110.
  const double half = 1.96 * 1.1 * std::sqrt(0.005 * 0.005 + (0.5 / 110) * (0.5 / 110));
  EXPECT_NEAR(interval.low, seen - half, 0.1 * half);
  EXPECT_NEAR(interval.high, seen + half, 0.1 * half);
}

// 200 pairs of samples from one distribution: about 95 % of the intervals must hold 0.
TEST(BootstrapTest, NineteenOfTwentyIntervalsHoldTheTruth) {
  int holds = 0;
  for (uint64_t i = 0; i < 200; ++i) {
    const std::vector<double> a = Normal(60, 50, 8, 2 * i);
    const std::vector<double> b = Normal(60, 50, 8, 2 * i + 1);
    const Interval interval =
        BootstrapRelativeDifference(MeanOf(a), 60, MeanOf(b), 60, {.resamples = 400});
    holds += interval.low <= 0 && interval.high >= 0;
  }
  EXPECT_GE(holds, 180);
  EXPECT_LE(holds, 198);
}

TEST(BootstrapTest, PairsCancelWhatRequestsDifferInByThemselves) {
  std::vector<double> a = Normal(50, 1000, 400, 1);
  std::vector<double> b = a;
  const std::vector<double> noise = Normal(50, 1, 0.01, 2);
  for (size_t i = 0; i < b.size(); ++i) b[i] *= 1.03 * noise[i];
  const Interval apart = BootstrapRelativeDifference(MeanOf(a), 50, MeanOf(b), 50, {});
  const Interval paired =
      BootstrapRelativeDifference(MeanOf(a), 50, MeanOf(b), 50, {.paired = true});
  EXPECT_LT(apart.low, 0);
  EXPECT_GT(paired.low, 0.02);
  EXPECT_LT(paired.high, 0.04);
}

// Variances of the means 1/3 and 7/9: 3.448 degrees of freedom, of which the table is entered with
// the 3 whole ones.
TEST(WelchTest, IsTheTextbooks) {
  const std::vector<double> a = {10, 11, 12};
  const std::vector<double> b = {13, 14, 16};
  const Interval interval = WelchRelativeDifference(a, b);
  const double half = 3.182 * std::sqrt(1.0 / 3 + 7.0 / 9);
  EXPECT_NEAR(interval.low * 11, 10.0 / 3 - half, 1e-9);
  EXPECT_NEAR(interval.high * 11, 10.0 / 3 + half, 1e-9);
}

Json Result(double scale, bool detailed) {
  Json result = {{"num_prompts", 40},
                 {"completed", 40},
                 {"max_concurrency", 4},
                 {"request_rate", "inf"},
                 {"total_input_tokens", 400},
                 {"total_output_tokens", 120},
                 {"output_throughput", 100 / scale},
                 {"mean_ttft_ms", 100 * scale}};
  if (!detailed) return result;
  const std::vector<double> base = Normal(40, 0.1, 0.02, 3);
  for (size_t i = 0; i < base.size(); ++i) {
    result["ttfts"].push_back(base[i] * scale);
    result["itls"].push_back({0.02 * scale, 0.04 * scale});
    result["output_lens"].push_back(3);
    result["input_lens"].push_back(10);
    result["errors"].push_back("");
  }
  return result;
}

ComparedResult Compared(const Json& json) { return ToComparedResult("f", json).value(); }

const ComparedFigure& Figure(const Comparison& comparison, const std::string& name) {
  for (const ComparedFigure& figure : comparison.figures) {
    if (figure.name == name) return figure;
  }
  ADD_FAILURE() << name;
  return comparison.figures.front();
}

TEST(ComparisonTest, OneRunEachHasIntervalsFromItsRequests) {
  const Comparison comparison =
      Compare({Compared(Result(1, true))}, {Compared(Result(1.2, true))}, {});
  const ComparedFigure& ttft = Figure(comparison, "Mean TTFT (ms)");
  EXPECT_NEAR(ttft.difference(), 0.2, 1e-9);
  ASSERT_TRUE(ttft.interval.has_value());
  EXPECT_NEAR(ttft.interval->low, 0.2, 1e-6);  // every request is slower by the same share
  EXPECT_TRUE(ttft.worse());
  EXPECT_FALSE(ttft.better());
  EXPECT_NEAR(Figure(comparison, "Mean TPOT (ms)").a, 30, 1e-9);
  EXPECT_NEAR(Figure(comparison, "Mean ITL (ms)").a, 30, 1e-9);
  EXPECT_FALSE(Figure(comparison, "Output token throughput (tok/s)").interval.has_value());
  EXPECT_THAT(Figure(comparison, "P99 TTFT (ms)").note, HasSubstr("fewer than 100"));
  EXPECT_THAT(comparison.basis, HasSubstr("in pairs"));
  EXPECT_THAT(comparison.basis, HasSubstr("several runs"));
}

TEST(ComparisonTest, SeveralRunsAreComparedAsRuns) {
  const auto runs = [](std::vector<double> scales) {
    std::vector<ComparedResult> results;
    for (const double scale : scales) results.push_back(Compared(Result(scale, true)));
    return results;
  };
  // Each pair of runs alone would show a difference; together they show how runs scatter.
  Comparison comparison = Compare(runs({1, 1.1, 0.95}), runs({1.05, 0.9, 1.12}), {});
  EXPECT_THAT(comparison.basis, HasSubstr("over 3 and 3 runs"));
  EXPECT_FALSE(Figure(comparison, "Mean TTFT (ms)").worse());
  EXPECT_FALSE(Figure(comparison, "Output token throughput (tok/s)").worse());
  comparison = Compare(runs({1, 1.01, 0.99}), runs({1.5, 1.51, 1.49}), {});
  EXPECT_TRUE(Figure(comparison, "Mean TTFT (ms)").worse());
  EXPECT_TRUE(Figure(comparison, "Output token throughput (tok/s)").worse());
  comparison = Compare(runs({1.5, 1.51, 1.49}), runs({1, 1.01, 0.99}), {});
  EXPECT_TRUE(Figure(comparison, "Output token throughput (tok/s)").better());
}

TEST(ComparisonTest, SaysWhereThereAreNoValuesOfRequests) {
  const Comparison comparison =
      Compare({Compared(Result(1, false))}, {Compared(Result(1, true))}, {});
  EXPECT_THAT(comparison.basis, HasSubstr("--save-detailed"));
  EXPECT_FALSE(Figure(comparison, "Mean TTFT (ms)").interval.has_value());
}

TEST(ComparisonTest, LeavesFailedRequestsOut) {
  Json result = Result(1, true);
  result["errors"][0] = "gone";
  result["ttfts"][0] = 0.0;
  EXPECT_EQ(Compared(result).ttfts_ms.size(), 39u);
  EXPECT_THAT(ToComparedResult("x.json", Json{{"a", 1}}),
              StatusIs(absl::StatusCode::kInvalidArgument, "x.json"));
}

}  // namespace
}  // namespace vallm::tools
