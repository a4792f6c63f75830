// The figures of a run, by vLLM's definitions (benchmark_serving.py).
#ifndef VALLM_TOOLS_BENCH_METRICS_H_
#define VALLM_TOOLS_BENCH_METRICS_H_

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "tools/bench/request_record.h"
#include "tools/bench/statistics.h"

namespace vallm::tools {

enum class LatencyMetric { kTtft, kTpot, kItl, kE2el };

struct LatencyMetricName {
  LatencyMetric metric;
  const char* key;     // "ttft"
  const char* label;   // "TTFT"
  const char* header;  // "Time to First Token"
};
// In the order in which they are shown.
inline constexpr std::array<LatencyMetricName, 4> kLatencyMetrics = {{
    {LatencyMetric::kTtft, "ttft", "TTFT", "Time to First Token"},
    {LatencyMetric::kTpot, "tpot", "TPOT", "Time per Output Token (excl. 1st token)"},
    {LatencyMetric::kItl, "itl", "ITL", "Inter-token Latency"},
    {LatencyMetric::kE2el, "e2el", "E2EL", "End-to-end Latency"},
}};

// Limits in ms by metric ("ttft", "tpot", "e2el"); a request that meets all of them is good.
using Goodput = std::map<std::string, double>;

struct MetricOptions {
  std::vector<double> percentiles = {99};
  Goodput goodput;
};

struct BenchMetrics {
  double duration_s = 0;
  int64_t completed = 0;
  int64_t failed = 0;
  int64_t total_input_tokens = 0;   // of completed requests, as the client counted them
  int64_t total_output_tokens = 0;  // of completed requests
  double request_throughput = 0;    // per second, as the next three
  double request_goodput = 0;       // 0 without limits
  double output_throughput = 0;
  double total_token_throughput = 0;
  double max_output_tokens_per_s = 0;        // in the best second
  int64_t max_concurrent_requests = 0;       // sent and not ended
  std::array<Distribution, 4> latencies_ms;  // by LatencyMetric

  const Distribution& Of(LatencyMetric metric) const {
    return latencies_ms[static_cast<size_t>(metric)];
  }
  // The vendor's figures: 1000 / mean ITL, and that times `concurrency`. 0 without an ITL.
  double PerRequestDecodeThroughput() const;
  double DecodeThroughput(int64_t concurrency) const;
};

// (latency - ttft) / (output tokens - 1); 0 for less than two tokens.
double TimePerOutputToken(const RequestRecord& record);

BenchMetrics Summarize(std::span<const RequestRecord> records, double duration_s,
                       const MetricOptions& options);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_BENCH_METRICS_H_
