#include "gateway/access/key_meter.h"

#include <algorithm>
#include <cmath>

namespace vallm::gateway {
namespace {

constexpr double kSecondsPerMinute = 60;
// Nobody knows when one of the key's requests ends.
constexpr absl::Duration kConcurrencyRetry = absl::Seconds(1);

}  // namespace

void KeyMeter::Bucket::Resize(int64_t per_minute, absl::Time now) {
  // What has been used stays used.
  const double used = size == 0 ? 0 : static_cast<double>(size) - LevelAt(now);
  size = per_minute;
  level = static_cast<double>(size) - used;
  updated = now;
}

double KeyMeter::Bucket::LevelAt(absl::Time now) const {
  const double seconds = std::max(absl::ToDoubleSeconds(now - updated), 0.0);
  const double full = static_cast<double>(size);
  return std::min(full, level + seconds * full / kSecondsPerMinute);
}

void KeyMeter::Bucket::Take(double count, absl::Time now) {
  level = LevelAt(now) - count;
  updated = std::max(updated, now);
}

absl::Duration KeyMeter::Bucket::TimeUntil(double wanted, absl::Time now) const {
  const double missing = std::max(wanted - LevelAt(now), 0.0);
  return absl::Seconds(missing * kSecondsPerMinute / static_cast<double>(size));
}

std::optional<KeyMeter::Rate> KeyMeter::Bucket::RateAt(absl::Time now) const {
  if (size == 0) return std::nullopt;
  return Rate{.limit = size,
              .remaining = std::max<int64_t>(static_cast<int64_t>(std::floor(LevelAt(now))), 0),
              .reset = TimeUntil(static_cast<double>(size), now)};
}

KeyMeter::KeyMeter(const KeyLimits& limits) { SetLimits(limits, absl::UnixEpoch()); }

KeyMeter::Decision KeyMeter::Enter(absl::Time now) {
  MutexLock lock(mu_);
  if (max_concurrent_ > 0 && inside_ >= max_concurrent_) {
    return {Limit::kConcurrency, kConcurrencyRetry};
  }
  if (requests_.size > 0 && requests_.LevelAt(now) < 1) {
    return {Limit::kRequests, requests_.TimeUntil(1, now)};
  }
  if (tokens_.size > 0 && tokens_.LevelAt(now) < 1) {
    return {Limit::kTokens, tokens_.TimeUntil(1, now)};
  }
  if (requests_.size > 0) requests_.Take(1, now);
  ++inside_;
  return {};
}

void KeyMeter::Leave() {
  MutexLock lock(mu_);
  --inside_;
}

void KeyMeter::ChargeTokens(int64_t count, absl::Time now) {
  MutexLock lock(mu_);
  if (tokens_.size > 0) tokens_.Take(static_cast<double>(count), now);
}

void KeyMeter::SetLimits(const KeyLimits& limits, absl::Time now) {
  MutexLock lock(mu_);
  requests_.Resize(limits.requests_per_minute, now);
  tokens_.Resize(limits.tokens_per_minute, now);
  max_concurrent_ = limits.max_concurrent_requests;
}

KeyMeter::Rates KeyMeter::rates(absl::Time now) const {
  MutexLock lock(mu_);
  return {.requests = requests_.RateAt(now), .tokens = tokens_.RateAt(now)};
}

}  // namespace vallm::gateway
