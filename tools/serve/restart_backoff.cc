#include "tools/serve/restart_backoff.h"

#include <algorithm>

namespace vallm::tools {
namespace {

constexpr absl::Duration kFirstDelay = absl::Milliseconds(500);
constexpr absl::Duration kLongestDelay = absl::Seconds(30);
constexpr absl::Duration kHealthyLife = absl::Seconds(60);

}  // namespace

absl::Duration RestartBackoff::NextDelay(absl::Duration lived) {
  if (lived >= kHealthyLife) next_ = absl::ZeroDuration();
  const absl::Duration delay = next_;
  next_ = std::clamp(2 * delay, kFirstDelay, kLongestDelay);
  return delay;
}

}  // namespace vallm::tools
