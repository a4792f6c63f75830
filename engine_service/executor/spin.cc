#include "engine_service/executor/spin.h"

#include <algorithm>

namespace vallm::engine {
namespace {

// More than ranks that compute the same amount drift apart between two meetings.
constexpr SpinTime kBetweenRanks = std::chrono::microseconds(500);
// More than what the engine does between two steps of a small model.
constexpr SpinTime kForSteps = std::chrono::milliseconds(2);

}  // namespace

SpinLimits ChooseSpinLimits(int32_t usable_cores, int32_t ranks, int32_t threads) {
  const int64_t busy = int64_t{ranks} * threads;
  SpinLimits limits;
  if (busy <= usable_cores) limits.between_ranks = kBetweenRanks;
  if (busy < usable_cores) limits.for_steps = kForSteps;
  return limits;
}

void Spinner::Slept(SpinTime waited) {
  // As long again as this wait, so that a somewhat longer one is spun through as well.
  const SpinTime wanted = waited <= limit_ ? 2 * waited : time_ / 2;
  time_ = std::clamp(wanted, std::min(kLeastSpin, limit_), limit_);
}

}  // namespace vallm::engine
