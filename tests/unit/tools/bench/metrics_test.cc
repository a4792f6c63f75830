#include "tools/bench/metrics.h"

#include <vector>

#include "gtest/gtest.h"

namespace vallm::tools {
namespace {

RequestRecord Answer(double sent_s, double ttft_s, std::vector<double> itls_s, int64_t in,
                     int64_t out) {
  RequestRecord record;
  record.success = true;
  record.sent_s = record.since_s = sent_s;
  record.ttft_s = ttft_s;
  record.latency_s = ttft_s;
  for (const double gap : itls_s) record.latency_s += gap;
  record.itls_s = std::move(itls_s);
  record.prompt_tokens = in;
  record.output_tokens = out;
  return record;
}

// By hand, after calculate_metrics of benchmark_serving.py.
TEST(MetricsTest, FollowsVllmsFormulae) {
  std::vector<RequestRecord> records = {
      Answer(0, 0.5, {0.1, 0.1, 0.2}, 10, 4),  // TPOT 0.4 / 3
      Answer(0.25, 1.0, {0.5}, 20, 6),         // five tokens in one chunk: TPOT 0.1
      Answer(0.5, 2.0, {}, 30, 1),             // no TPOT
  };
  records.emplace_back();
  records.back().error = "refused";
  const BenchMetrics metrics =
      Summarize(records, 4, {.percentiles = {50, 99}, .goodput = {{"ttft", 1000}, {"tpot", 120}}});
  EXPECT_EQ(metrics.completed, 3);
  EXPECT_EQ(metrics.failed, 1);
  EXPECT_EQ(metrics.total_input_tokens, 60);
  EXPECT_EQ(metrics.total_output_tokens, 11);
  EXPECT_DOUBLE_EQ(metrics.request_throughput, 0.75);
  EXPECT_DOUBLE_EQ(metrics.output_throughput, 2.75);
  EXPECT_DOUBLE_EQ(metrics.total_token_throughput, 17.75);
  EXPECT_DOUBLE_EQ(metrics.request_goodput, 0.25);  // the second one only
  EXPECT_NEAR(metrics.Of(LatencyMetric::kTtft).mean, 3500.0 / 3, 1e-9);
  EXPECT_NEAR(metrics.Of(LatencyMetric::kTtft).percentiles[1].second, 1980, 1e-9);
  EXPECT_NEAR(metrics.Of(LatencyMetric::kTpot).mean, (400.0 / 3 + 100) / 2, 1e-9);
  EXPECT_NEAR(metrics.Of(LatencyMetric::kItl).mean, 225, 1e-9);
  EXPECT_NEAR(metrics.Of(LatencyMetric::kE2el).median, 1500, 1e-9);
  EXPECT_NEAR(metrics.PerRequestDecodeThroughput(), 1000 / 225.0, 1e-9);
  EXPECT_NEAR(metrics.DecodeThroughput(4), 4000 / 225.0, 1e-9);
  EXPECT_EQ(metrics.max_concurrent_requests, 3);
}

TEST(MetricsTest, ARequestThatMeetsItsLimitExactlyIsGood) {
  const std::vector<RequestRecord> records = {Answer(0, 0.5, {0.5}, 1, 2)};
  EXPECT_GT(Summarize(records, 1, {.percentiles = {}, .goodput = {{"e2el", 1000}}}).request_goodput,
            0);
  EXPECT_EQ(Summarize(records, 1, {.percentiles = {}, .goodput = {{"e2el", 999}}}).request_goodput,
            0);
}

TEST(MetricsTest, CountsTheTokensOfTheBestSecond) {
  // 10 tokens in two chunks: 5 at 0.5 s, 5 at 1.5 s; the other 4 at 1.2 s.
  const std::vector<RequestRecord> records = {Answer(0, 0.5, {1.0}, 1, 10),
                                              Answer(1, 0.2, {}, 1, 4)};
  EXPECT_DOUBLE_EQ(Summarize(records, 2, {}).max_output_tokens_per_s, 9);
}

TEST(MetricsTest, NothingButFailuresIsZeros) {
  const std::vector<RequestRecord> records(3);
  const BenchMetrics metrics = Summarize(records, 2, {});
  EXPECT_EQ(metrics.failed, 3);
  EXPECT_EQ(metrics.output_throughput, 0);
  EXPECT_EQ(metrics.PerRequestDecodeThroughput(), 0);
  EXPECT_EQ(metrics.Of(LatencyMetric::kTtft).percentiles.front().second, 0);
}

}  // namespace
}  // namespace vallm::tools
