#include "gateway/access/rate_headers.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"

namespace vallm::gateway {
namespace {

// "6m0s", "1.5s", "20ms", "0s".
std::string ResetText(absl::Duration duration) {
  if (duration < absl::Minutes(1)) {
    const absl::Duration exact = absl::Ceil(duration, absl::Milliseconds(1));
    return exact == absl::ZeroDuration() ? "0s" : absl::FormatDuration(exact);
  }
  const int64_t seconds = absl::ToInt64Seconds(absl::Ceil(duration, absl::Seconds(1)));
  return absl::StrCat(seconds / 60, "m", seconds % 60, "s");
}

void AddRate(const char* unit, const std::optional<KeyMeter::Rate>& rate, HttpHeaders* headers) {
  if (!rate.has_value()) return;
  headers->emplace_back(absl::StrCat("x-ratelimit-limit-", unit), absl::StrCat(rate->limit));
  headers->emplace_back(absl::StrCat("x-ratelimit-remaining-", unit),
                        absl::StrCat(rate->remaining));
  headers->emplace_back(absl::StrCat("x-ratelimit-reset-", unit), ResetText(rate->reset));
}

}  // namespace

void AddRateHeaders(const KeyMeter::Rates& rates, HttpHeaders* headers) {
  AddRate("requests", rates.requests, headers);
  AddRate("tokens", rates.tokens, headers);
}

std::string RetryAfter(absl::Duration duration) {
  return absl::StrCat(
      std::max<int64_t>(absl::ToInt64Seconds(absl::Ceil(duration, absl::Seconds(1))), 1));
}

}  // namespace vallm::gateway
