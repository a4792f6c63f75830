// How long to wait before the workers are started again. Pure.
#ifndef VALLM_ENGINE_SERVICE_RESTART_BACKOFF_H_
#define VALLM_ENGINE_SERVICE_RESTART_BACKOFF_H_

#include <algorithm>

#include "absl/time/time.h"

namespace vallm::engine {

class RestartBackoff {
 public:
  // The wait after a group that was up for `uptime` went down: none the first time, then 0.5 s
  // doubling up to 30 s. What was up for ten seconds works, whatever killed it: its next failure is
  // a first one again.
  absl::Duration Next(absl::Duration uptime) {
    if (uptime >= absl::Seconds(10)) next_ = absl::ZeroDuration();
    const absl::Duration wait = next_;
    next_ = std::clamp(2 * next_, absl::Milliseconds(500), absl::Seconds(30));
    return wait;
  }

 private:
  absl::Duration next_ = absl::ZeroDuration();
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_RESTART_BACKOFF_H_
