#include "gateway/routing/drain_rate.h"

#include <algorithm>
#include <cmath>

namespace vallm::gateway {
namespace {

constexpr absl::Duration kMemory = absl::Seconds(30);

double Decay(absl::Duration age) {
  return std::exp(-absl::ToDoubleSeconds(age) / absl::ToDoubleSeconds(kMemory));
}

}  // namespace

void DrainRate::OnTaken(absl::Time now) {
  if (!since_.has_value()) since_ = now;
}

void DrainRate::OnFreed(absl::Time now) {
  weight_ = WeightAt(now) + 1;
  updated_ = std::max(now, updated_);
}

double DrainRate::WeightAt(absl::Time now) const {
  return weight_ == 0 ? 0 : weight_ * Decay(std::max(now - updated_, absl::ZeroDuration()));
}

std::optional<absl::Duration> DrainRate::TimeToFree(int count, absl::Time now) const {
  if (!since_.has_value()) return std::nullopt;
  const absl::Duration watched = std::max(now - *since_, absl::Milliseconds(1));
  const double weight = WeightAt(now);
  if (weight == 0) return watched * count;
  // What a steady rate of one a second would weigh by now.
  const double unit = absl::ToDoubleSeconds(kMemory) * (1 - Decay(watched));
  return absl::Seconds(count * unit / weight);
}

}  // namespace vallm::gateway
