#include "gateway/generation/move_policy.h"

#include <algorithm>

namespace vallm::gateway {
namespace {

constexpr absl::Duration kFirstDelay = absl::Milliseconds(50);
constexpr absl::Duration kLongestDelay = absl::Seconds(1);

}  // namespace

void MovePolicy::OnRunEnded(bool yielded) {
  yielded_ = yielded;
  if (!yielded) return;
  fruitless_half_deaths_ = 0;
  tries_ = 0;
  lost_since_ = full_since_ = absl::InfiniteFuture();
}

MovePolicy::Decision MovePolicy::OnDeath(bool taken, absl::Time now, double jitter) {
  lost_since_ = std::min(lost_since_, now);
  ++deaths_;
  if (!yielded_) fruitless_half_deaths_ += taken ? 2 : 1;
  if (fruitless_half_deaths_ >= 2 * limits_.fruitless_deaths || deaths_ >= limits_.deaths) {
    return {Action::kQuarantine, absl::ZeroDuration()};
  }
  // There is nothing to wait for: the next instance has done nothing wrong.
  if (tries_++ == 0) return {Action::kRunAgain, absl::ZeroDuration()};
  return {Action::kRunAgain, NextDelay(jitter)};
}

bool MovePolicy::MayLeaveStalled(bool yielded) {
  if (yielded) stalls_ = 0;
  return stalls_++ < limits_.fruitless_stalls;
}

MovePolicy::Decision MovePolicy::OnRefused(bool full, absl::Time now, double jitter) {
  absl::Time& since = full ? full_since_ : lost_since_;
  since = std::min(since, now);
  // One that is full serves, so none is lost.
  if (full) lost_since_ = absl::InfiniteFuture();
  if (now - since >= (full ? limits_.queue_timeout : limits_.failover_timeout)) {
    return {Action::kGiveUp, absl::ZeroDuration()};
  }
  ++tries_;
  return {Action::kRunAgain, NextDelay(jitter)};
}

absl::Duration MovePolicy::patience(absl::Time now) const {
  if (lost_since_ == absl::InfiniteFuture()) return limits_.failover_timeout;
  return std::max(limits_.failover_timeout - (now - lost_since_), absl::ZeroDuration());
}

// 50 ms, doubling up to a second, half of it to one and a half.
absl::Duration MovePolicy::NextDelay(double jitter) {
  absl::Duration delay = kFirstDelay;
  for (int i = 1; i < tries_ && delay < kLongestDelay; ++i) delay *= 2;
  return std::min(delay, kLongestDelay) * (0.5 + jitter);
}

}  // namespace vallm::gateway
