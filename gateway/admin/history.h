// The last hour, second by second: what the charts show. Values only; recorder.h fills it.
// Thread-safe.
#ifndef VALLM_GATEWAY_ADMIN_HISTORY_H_
#define VALLM_GATEWAY_ADMIN_HISTORY_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "common/mutex.h"
#include "gateway/admin/request_log.h"

namespace vallm::gateway {

// Everything about one second.
struct HistorySample {
  int64_t second = 0;  // since the epoch, when it began
  // Tokens of all instances, other clients' included.
  int64_t prompt_tokens = 0;
  int64_t generated_tokens = 0;
  // At its end, over all instances.
  int running = 0;
  int waiting = 0;
  int serving_instances = 0;
  double kv_cache_usage = 0;  // 0 to 1
  int queued = 0;             // in the gateway
  RequestCounts requests;
};

// Some seconds summed up.
struct HistoryPoint {
  int64_t time = 0;  // since the epoch, when the first of them began
  // Absent if nothing was recorded; per second, or the mean.
  struct Values {
    double prompt_tokens_per_second = 0;
    double generated_tokens_per_second = 0;
    double running = 0;
    double waiting = 0;
    double queued = 0;
    double serving_instances = 0;
    double kv_cache_usage = 0;
    // Requests that ended, in all.
    int64_t succeeded = 0;
    int64_t failed = 0;
    int64_t refused = 0;
    int64_t aborted = 0;
    std::optional<absl::Duration> first_token_p50;
    std::optional<absl::Duration> first_token_p99;
  };
  std::optional<Values> values;
};

class History {
 public:
  static constexpr int kSeconds = 3600;

  History() : samples_(kSeconds) {}

  // A later sample of the same second replaces the earlier one.
  void Add(HistorySample sample);

  // Points of `step` seconds that begin at multiples of it, from the one with `from` to the last
  // that is complete; no more than an hour. REQUIRES: step >= 1.
  std::vector<HistoryPoint> Query(int64_t from, int step) const;

 private:
  HistoryPoint Sum(int64_t begin, int step) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable Mutex mu_;
  std::vector<HistorySample> samples_ ABSL_GUARDED_BY(mu_);  // [second % kSeconds]
  int64_t end_ ABSL_GUARDED_BY(mu_) = 0;                     // of the latest second
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ADMIN_HISTORY_H_
