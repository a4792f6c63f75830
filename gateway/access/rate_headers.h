// The limits of a key in the headers of an answer, as OpenAI's API says them.
#ifndef VALLM_GATEWAY_ACCESS_RATE_HEADERS_H_
#define VALLM_GATEWAY_ACCESS_RATE_HEADERS_H_

#include <string>

#include "absl/time/time.h"
#include "gateway/access/key_meter.h"
#include "gateway/http_message.h"

namespace vallm::gateway {

// x-ratelimit-{limit,remaining,reset}-{requests,tokens}; none for a rate without limit.
void AddRateHeaders(const KeyMeter::Rates& rates, HttpHeaders* headers);

// The whole seconds of Retry-After: at least one.
std::string RetryAfter(absl::Duration duration);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ACCESS_RATE_HEADERS_H_
