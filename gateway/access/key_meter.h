// What one API key may use: requests and tokens per minute, and requests at once. Pure: the time is
// given. Thread-safe.
//
// The rates are buckets that hold a minute's worth and fill continuously. A request takes one from
// the first when it comes; the second is charged with what was used, the prompt when it is known
// and the answer at its end. It may therefore be overdrawn, and new requests wait until that is
// made up.
#ifndef VALLM_GATEWAY_ACCESS_KEY_METER_H_
#define VALLM_GATEWAY_ACCESS_KEY_METER_H_

#include <cstdint>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "common/mutex.h"

namespace vallm::gateway {

struct KeyLimits {
  int64_t requests_per_minute = 0;  // 0: no limit, here and below
  int64_t tokens_per_minute = 0;    // of prompts and answers
  int64_t max_concurrent_requests = 0;
};

class KeyMeter {
 public:
  explicit KeyMeter(const KeyLimits& limits);

  // Which limit a request has met.
  enum class Limit { kNone, kRequests, kTokens, kConcurrency };
  struct Decision {
    Limit limit = Limit::kNone;  // kNone: it may come in
    absl::Duration retry_after;  // when it may have better luck
  };
  // A request comes. If it may come in, Leave must follow.
  Decision Enter(absl::Time now);
  void Leave();
  void ChargeTokens(int64_t count, absl::Time now);

  // Takes over other limits; what was used before still counts.
  void SetLimits(const KeyLimits& limits, absl::Time now);

  // How one rate stands, as the x-ratelimit headers say it.
  struct Rate {
    int64_t limit = 0;
    int64_t remaining = 0;  // never negative
    absl::Duration reset;   // until the bucket is full
  };
  struct Rates {
    std::optional<Rate> requests;  // absent without that limit
    std::optional<Rate> tokens;
  };
  Rates rates(absl::Time now) const;

 private:
  struct Bucket {
    int64_t size = 0;  // 0: none
    double level = 0;
    absl::Time updated = absl::InfinitePast();

    void Resize(int64_t per_minute, absl::Time now);
    double LevelAt(absl::Time now) const;
    void Take(double count, absl::Time now);
    // Until there is at least `level` in it.
    absl::Duration TimeUntil(double wanted, absl::Time now) const;
    std::optional<Rate> RateAt(absl::Time now) const;
  };

  mutable Mutex mu_;
  Bucket requests_ ABSL_GUARDED_BY(mu_);
  Bucket tokens_ ABSL_GUARDED_BY(mu_);
  int64_t max_concurrent_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t inside_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ACCESS_KEY_METER_H_
