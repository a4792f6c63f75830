// The result file of a run, with the keys of vLLM's benchmark_serving.py in its order, and ours
// behind them.
#ifndef VALLM_TOOLS_BENCH_RESULT_JSON_H_
#define VALLM_TOOLS_BENCH_RESULT_JSON_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "nlohmann/json_fwd.hpp"
#include "tools/bench/bench_run.h"
#include "tools/bench/metrics.h"
#include "tools/bench/traffic.h"

namespace vallm::tools {

// What a run was asked to do, as far as its result says so.
struct RunDescription {
  std::string date;  // "20261130-031500", local time
  std::string backend;
  std::string model_id;
  std::string tokenizer_id;
  int64_t num_prompts = 0;
  uint64_t seed = 0;
  int64_t requested_output_tokens = 0;  // of all prompts: what `vallm bench compare` goes by
  TrafficOptions traffic;
  bool latency_from_due = false;
  std::vector<std::pair<std::string, std::string>> metadata;
  std::vector<std::string> percentile_metrics;  // keys of kLatencyMetrics
  bool detailed = false;                        // per request as well
};

// "99", "99.9": as keys like p99_ttft_ms have it.
std::string PercentileWord(double percent);
// A rate as Python writes a float: "inf", "4.0", "0.5".
std::string RateWord(double rate);

nlohmann::ordered_json ResultJson(const RunDescription& run, const BenchOutcome& outcome,
                                  const MetricOptions& options, const BenchMetrics& metrics);

// The name vLLM gives a result: "vllm-infqps-concurrency4-Qwen3-20261130-031500.json".
std::string DefaultResultName(const RunDescription& run);

// Writes the whole file or leaves what was there. Errors: UNAVAILABLE.
absl::Status WriteFileWhole(const std::string& path, const std::string& text);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_BENCH_RESULT_JSON_H_
