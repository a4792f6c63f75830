// How long things took: counts in geometric bins from 0.2 ms to two hours, 20 % apart, so that
// quantiles of any union of intervals can be told to within 10 %. Empty ones take no memory.
//
// Not thread-safe.
#ifndef VALLM_GATEWAY_ADMIN_TIME_HISTOGRAM_H_
#define VALLM_GATEWAY_ADMIN_TIME_HISTOGRAM_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/time/time.h"

namespace vallm::gateway {

class TimeHistogram {
 public:
  void Add(absl::Duration duration);
  void Merge(const TimeHistogram& other);
  // The duration that a share `q` in (0, 1] of all are not longer than; nullopt when empty.
  std::optional<absl::Duration> Quantile(double q) const;
  int64_t count() const;

 private:
  std::vector<uint32_t> bins_;  // [kBins] or empty
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ADMIN_TIME_HISTOGRAM_H_
