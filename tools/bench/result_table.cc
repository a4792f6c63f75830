#include "tools/bench/result_table.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace vallm::tools {
namespace {

constexpr size_t kWidth = 50;

std::string Header(const std::string& text, char fill) {
  const size_t around = text.size() < kWidth ? kWidth - text.size() : 0;
  return absl::StrCat(std::string(around / 2, fill), text, std::string(around - around / 2, fill),
                      "\n");
}

std::string Line(const std::string& name, double value) {
  return absl::StrFormat("%-40s %-10.2f\n", name, value);
}

std::string CountLine(const std::string& name, int64_t value) {
  return absl::StrFormat("%-40s %-10d\n", name, value);
}

}  // namespace

std::string ResultTable(const RunDescription& run, const MetricOptions& options,
                        const BenchMetrics& metrics) {
  std::string table = Header(" Serving Benchmark Result ", '=');
  absl::StrAppend(&table, CountLine("Successful requests:", metrics.completed),
                  CountLine("Failed requests:", metrics.failed));
  if (run.traffic.max_concurrency > 0) {
    absl::StrAppend(&table, CountLine("Maximum request concurrency:", run.traffic.max_concurrency));
  }
  if (std::isfinite(run.traffic.request_rate)) {
    absl::StrAppend(&table, Line("Request rate configured (RPS):", run.traffic.request_rate));
  }
  absl::StrAppend(&table, Line("Benchmark duration (s):", metrics.duration_s),
                  CountLine("Total input tokens:", metrics.total_input_tokens),
                  CountLine("Total generated tokens:", metrics.total_output_tokens),
                  Line("Request throughput (req/s):", metrics.request_throughput));
  if (!options.goodput.empty()) {
    absl::StrAppend(&table, Line("Request goodput (req/s):", metrics.request_goodput));
  }
  absl::StrAppend(
      &table, Line("Output token throughput (tok/s):", metrics.output_throughput),
      Line("Peak output token throughput (tok/s):", metrics.max_output_tokens_per_s),
      Line("Peak concurrent requests:", static_cast<double>(metrics.max_concurrent_requests)),
      Line("Total Token throughput (tok/s):", metrics.total_token_throughput));
  for (const LatencyMetricName& name : kLatencyMetrics) {
    if (std::find(run.percentile_metrics.begin(), run.percentile_metrics.end(), name.key) ==
        run.percentile_metrics.end()) {
      continue;
    }
    const Distribution& values = metrics.Of(name.metric);
    absl::StrAppend(&table, Header(name.header, '-'),
                    Line(absl::StrCat("Mean ", name.label, " (ms):"), values.mean),
                    Line(absl::StrCat("Median ", name.label, " (ms):"), values.median));
    for (const auto& [percent, value] : values.percentiles) {
      absl::StrAppend(
          &table,
          Line(absl::StrCat("P", PercentileWord(percent), " ", name.label, " (ms):"), value));
    }
  }
  const int64_t concurrency = run.traffic.max_concurrency > 0 ? run.traffic.max_concurrency
                                                              : metrics.max_concurrent_requests;
  absl::StrAppend(
      &table, Header("Decoding, by mean ITL", '-'),
      Line("Decoding token throughput (tok/s):", metrics.DecodeThroughput(concurrency)),
      Line("Per-req Decoding throughput (tok/s):", metrics.PerRequestDecodeThroughput()));
  return table + std::string(kWidth, '=') + "\n";
}

}  // namespace vallm::tools
