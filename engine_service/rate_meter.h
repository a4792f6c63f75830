// How many things happen per second, smoothed: what happened t ago counts exp(-t / window). Reads
// no clock. Not thread-safe.
#ifndef VALLM_ENGINE_SERVICE_RATE_METER_H_
#define VALLM_ENGINE_SERVICE_RATE_METER_H_

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "absl/time/time.h"

namespace vallm::engine {

class RateMeter {
 public:
  // REQUIRES: window > 0.
  explicit RateMeter(absl::Duration window) : window_(absl::ToDoubleSeconds(window)) {}

  void Add(int64_t count, absl::Time now) {
    rate_ = PerSecond(now) + static_cast<double>(count) / window_;
    last_ = std::max(last_, now);
  }
  double PerSecond(absl::Time now) const {
    const double seconds = absl::ToDoubleSeconds(now - last_);
    return seconds > 0 ? rate_ * std::exp(-seconds / window_) : rate_;
  }

 private:
  const double window_;  // seconds
  double rate_ = 0;      // at last_
  absl::Time last_ = absl::UnixEpoch();
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_RATE_METER_H_
