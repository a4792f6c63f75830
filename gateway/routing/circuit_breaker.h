// Whether an instance is sent requests, judged by what became of those before. Decisions only: the
// clock and the dice are the caller's.
//
//   closed ──failures in a row──▶ open ──back-off──▶ half open ──success──▶ closed
//                                  ▲                     │
//                                  └──twice as long──────┴─ failure
//
// A death fails every request on board at once and is one failure all the same: what was begun
// before the failure counted last neither counts as another one nor proves that it is over.
//
// Not thread-safe.
#ifndef VALLM_GATEWAY_ROUTING_CIRCUIT_BREAKER_H_
#define VALLM_GATEWAY_ROUTING_CIRCUIT_BREAKER_H_

#include "absl/time/time.h"

namespace vallm::gateway {

struct CircuitBreakerOptions {
  // Failures without a success between them that open it; >= 1.
  int failures = 3;
  // How long it stays open the first time, and at most.
  absl::Duration first_backoff = absl::Seconds(1);
  absl::Duration longest_backoff = absl::Seconds(30);
};

class CircuitBreaker {
 public:
  enum class State {
    kClosed,    // send requests
    kHalfOpen,  // send one, and see
    kOpen,      // send none
  };

  explicit CircuitBreaker(const CircuitBreakerOptions& options) : options_(options) {}

  // Of a request begun at `begun`: a token came, or it has ended well.
  void OnSuccess(absl::Time begun);
  // It was lost. `jitter` in [0, 1) spreads the back-off by a quarter to either side.
  void OnFailure(absl::Time begun, absl::Time now, double jitter);

  State state(absl::Time now) const;
  // When an open breaker becomes half open; InfiniteFuture unless it is open.
  absl::Time half_open_time(absl::Time now) const;

 private:
  const CircuitBreakerOptions options_;
  int failures_ = 0;    // in a row
  int times_open_ = 0;  // in a row
  absl::Time last_failure_ = absl::InfinitePast();
  absl::Time open_until_ = absl::InfinitePast();
};

// "closed", "half_open" or "open".
const char* NameOf(CircuitBreaker::State state);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTING_CIRCUIT_BREAKER_H_
