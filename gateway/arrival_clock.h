// How long a request may take to arrive: a fixed time for its header, and for its body a fixed time
// and what a minimal rate gives to the bytes that have come. Pure; one per connection.
#ifndef VALLM_GATEWAY_ARRIVAL_CLOCK_H_
#define VALLM_GATEWAY_ARRIVAL_CLOCK_H_

#include <chrono>
#include <cstdint>

#include "absl/time/time.h"

namespace vallm::gateway {

class ArrivalClock {
 public:
  using Clock = std::chrono::steady_clock;

  ArrivalClock(absl::Duration header, absl::Duration body, int64_t min_body_rate)
      : header_(absl::ToChronoNanoseconds(header)),
        body_(absl::ToChronoNanoseconds(body)),
        per_byte_(min_body_rate == 0 ? Clock::duration::zero()
                                     : std::chrono::nanoseconds(1'000'000'000 / min_body_rate)) {}

  void BeginHeader(Clock::time_point now) { deadline_ = now + header_; }
  void BeginBody(Clock::time_point now) { deadline_ = now + body_; }
  // So many bytes of the body have come.
  void AddBody(int64_t bytes) { deadline_ += per_byte_ * bytes; }

  Clock::time_point deadline() const { return deadline_; }

 private:
  const Clock::duration header_;
  const Clock::duration body_;
  const Clock::duration per_byte_;
  Clock::time_point deadline_;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ARRIVAL_CLOCK_H_
