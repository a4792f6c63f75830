#include "gateway/routing/circuit_breaker.h"

#include <algorithm>

namespace vallm::gateway {

void CircuitBreaker::OnSuccess(absl::Time begun) {
  if (begun <= last_failure_) return;
  failures_ = 0;
  times_open_ = 0;
  open_until_ = absl::InfinitePast();
}

void CircuitBreaker::OnFailure(absl::Time begun, absl::Time now, double jitter) {
  if (begun <= last_failure_) return;
  last_failure_ = now;
  if (++failures_ < options_.failures) return;
  absl::Duration backoff = options_.first_backoff;
  for (int i = 0; i < times_open_ && backoff < options_.longest_backoff; ++i) backoff *= 2;
  ++times_open_;
  open_until_ = now + std::min(backoff, options_.longest_backoff) * (0.75 + jitter / 2);
}

CircuitBreaker::State CircuitBreaker::state(absl::Time now) const {
  if (failures_ < options_.failures) return State::kClosed;
  return now < open_until_ ? State::kOpen : State::kHalfOpen;
}

absl::Time CircuitBreaker::half_open_time(absl::Time now) const {
  return state(now) == State::kOpen ? open_until_ : absl::InfiniteFuture();
}

const char* NameOf(CircuitBreaker::State state) {
  switch (state) {
    case CircuitBreaker::State::kClosed:
      return "closed";
    case CircuitBreaker::State::kHalfOpen:
      return "half_open";
    case CircuitBreaker::State::kOpen:
      return "open";
  }
  return "unknown";
}

}  // namespace vallm::gateway
