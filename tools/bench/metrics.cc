#include "tools/bench/metrics.h"

#include <algorithm>
#include <utility>

namespace vallm::tools {
namespace {

bool IsGood(const RequestRecord& record, const Goodput& limits) {
  for (const auto& [name, limit_ms] : limits) {
    const double seconds = name == "ttft"   ? record.ttft_s
                           : name == "tpot" ? TimePerOutputToken(record)
                                            : record.latency_s;
    if (seconds * 1e3 > limit_ms) return false;
  }
  return true;
}

// The tokens of the best second. A chunk counts as its share of the request's tokens.
double PeakOutputRate(std::span<const RequestRecord> records, double duration_s) {
  std::vector<double> seconds(static_cast<size_t>(duration_s) + 2, 0);
  for (const RequestRecord& record : records) {
    if (!record.success) continue;
    const double share =
        static_cast<double>(record.output_tokens) / static_cast<double>(record.itls_s.size() + 1);
    double when = record.since_s + record.ttft_s;
    const auto add = [&] {
      seconds[std::min(static_cast<size_t>(std::max(when, 0.0)), seconds.size() - 1)] += share;
    };
    add();
    for (const double gap : record.itls_s) {
      when += gap;
      add();
    }
  }
  return *std::max_element(seconds.begin(), seconds.end());
}

int64_t PeakConcurrency(std::span<const RequestRecord> records) {
  std::vector<std::pair<double, int>> changes;
  for (const RequestRecord& record : records) {
    if (!record.success) continue;
    changes.emplace_back(record.sent_s, 1);
    changes.emplace_back(record.since_s + record.latency_s, -1);
  }
  std::sort(changes.begin(), changes.end());  // an end before a beginning at the same time
  int64_t running = 0;
  int64_t most = 0;
  for (const auto& [when, change] : changes) most = std::max(most, running += change);
  return most;
}

}  // namespace

double BenchMetrics::PerRequestDecodeThroughput() const {
  const double mean_itl_ms = Of(LatencyMetric::kItl).mean;
  return mean_itl_ms > 0 ? 1000 / mean_itl_ms : 0;
}

double BenchMetrics::DecodeThroughput(int64_t concurrency) const {
  return PerRequestDecodeThroughput() * static_cast<double>(concurrency);
}

double TimePerOutputToken(const RequestRecord& record) {
  if (record.output_tokens <= 1) return 0;
  return (record.latency_s - record.ttft_s) / static_cast<double>(record.output_tokens - 1);
}

BenchMetrics Summarize(std::span<const RequestRecord> records, double duration_s,
                       const MetricOptions& options) {
  BenchMetrics metrics;
  metrics.duration_s = duration_s;
  std::vector<double> ttfts, tpots, itls, e2els;
  int64_t good = 0;
  for (const RequestRecord& record : records) {
    if (!record.success) {
      if (!record.cancelled) ++metrics.failed;
      continue;
    }
    ++metrics.completed;
    metrics.total_input_tokens += record.prompt_tokens >= 0
                                      ? record.prompt_tokens
                                      : std::max<int64_t>(record.server_prompt_tokens, 0);
    metrics.total_output_tokens += record.output_tokens;
    ttfts.push_back(record.ttft_s * 1e3);
    e2els.push_back(record.latency_s * 1e3);
    if (record.output_tokens > 1) tpots.push_back(TimePerOutputToken(record) * 1e3);
    for (const double gap : record.itls_s) itls.push_back(gap * 1e3);
    if (!options.goodput.empty() && IsGood(record, options.goodput)) ++good;
  }
  if (duration_s > 0) {
    const auto rate = [&](int64_t count) { return static_cast<double>(count) / duration_s; };
    metrics.request_throughput = rate(metrics.completed);
    metrics.request_goodput = rate(good);
    metrics.output_throughput = rate(metrics.total_output_tokens);
    metrics.total_token_throughput = rate(metrics.total_input_tokens + metrics.total_output_tokens);
  }
  metrics.max_output_tokens_per_s = PeakOutputRate(records, duration_s);
  metrics.max_concurrent_requests = PeakConcurrency(records);
  metrics.latencies_ms = {Describe(std::move(ttfts), options.percentiles),
                          Describe(std::move(tpots), options.percentiles),
                          Describe(std::move(itls), options.percentiles),
                          Describe(std::move(e2els), options.percentiles)};
  return metrics;
}

}  // namespace vallm::tools
