#include "gateway/admin/history.h"

#include <algorithm>
#include <utility>

namespace vallm::gateway {

void History::Add(HistorySample sample) {
  MutexLock lock(mu_);
  end_ = std::max(end_, sample.second + 1);
  HistorySample& place = samples_[static_cast<size_t>(sample.second % kSeconds)];
  place = std::move(sample);
}

std::vector<HistoryPoint> History::Query(int64_t from, int step) const {
  MutexLock lock(mu_);
  std::vector<HistoryPoint> points;
  const int64_t first = std::max(from, end_ - kSeconds) / step * step;
  for (int64_t begin = first; begin + step <= end_; begin += step) {
    points.push_back(Sum(begin, step));
  }
  return points;
}

HistoryPoint History::Sum(int64_t begin, int step) const {
  HistoryPoint point{.time = begin, .values = std::nullopt};
  HistoryPoint::Values sum;
  TimeHistogram first_token;
  int count = 0;
  for (int64_t second = begin; second < begin + step; ++second) {
    const HistorySample& sample = samples_[static_cast<size_t>(second % kSeconds)];
    if (sample.second != second) continue;
    ++count;
    sum.prompt_tokens_per_second += static_cast<double>(sample.prompt_tokens);
    sum.generated_tokens_per_second += static_cast<double>(sample.generated_tokens);
    sum.running += sample.running;
    sum.waiting += sample.waiting;
    sum.queued += sample.queued;
    sum.serving_instances += sample.serving_instances;
    sum.kv_cache_usage += sample.kv_cache_usage;
    sum.succeeded += sample.requests.succeeded;
    sum.failed += sample.requests.failed;
    sum.refused += sample.requests.refused;
    sum.aborted += sample.requests.aborted;
    first_token.Merge(sample.requests.first_token);
  }
  if (count == 0) return point;
  for (double* mean :
       {&sum.prompt_tokens_per_second, &sum.generated_tokens_per_second, &sum.running, &sum.waiting,
        &sum.queued, &sum.serving_instances, &sum.kv_cache_usage}) {
    *mean /= count;
  }
  sum.first_token_p50 = first_token.Quantile(0.5);
  sum.first_token_p99 = first_token.Quantile(0.99);
  point.values = sum;
  return point;
}

}  // namespace vallm::gateway
