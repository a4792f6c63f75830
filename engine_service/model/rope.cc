#include "engine_service/model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace vallm::engine {
namespace {

// The dimension whose wave turns `rotations` times over the original context.
double DimensionOfRotations(double rotations, int32_t head_dim, double theta, double context) {
  return head_dim * std::log(context / (rotations * 2 * std::numbers::pi)) / (2 * std::log(theta));
}

// Share of interpolation (position / factor) for each dimension pair: 0 for fast waves, which keep
// their frequency, 1 for slow ones, a linear ramp between.
std::vector<double> YarnRamp(const YarnScaling& yarn, int32_t head_dim, double theta) {
  double low = DimensionOfRotations(yarn.beta_fast, head_dim, theta, yarn.original_max_position);
  double high = DimensionOfRotations(yarn.beta_slow, head_dim, theta, yarn.original_max_position);
  if (yarn.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, head_dim - 1.0);
  if (low == high) high += 0.001;  // no division by zero below
  std::vector<double> ramp(head_dim / 2);
  for (size_t i = 0; i < ramp.size(); ++i) {
    ramp[i] = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
  }
  return ramp;
}

}  // namespace

Rope::Rope(const ModelConfig& config) : inverse_frequencies_(config.head_dim / 2) {
  std::vector<double> ramp(inverse_frequencies_.size(), 0.0);
  double factor = 1;
  if (config.yarn.has_value()) {
    ramp = YarnRamp(*config.yarn, config.head_dim, config.rope_theta);
    factor = config.yarn->factor;
    attention_factor_ = config.yarn->attention_factor;
  }
  for (size_t i = 0; i < inverse_frequencies_.size(); ++i) {
    const double base =
        std::pow(config.rope_theta, -2.0 * static_cast<double>(i) / config.head_dim);
    inverse_frequencies_[i] = static_cast<float>(base / factor * ramp[i] + base * (1 - ramp[i]));
  }
}

void Rope::CosSin(int32_t position, std::span<float> out) const {
  const size_t half = inverse_frequencies_.size();
  for (size_t i = 0; i < half; ++i) {
    const float angle = static_cast<float>(position) * inverse_frequencies_[i];
    out[i] = static_cast<float>(std::cos(double{angle}) * attention_factor_);
    out[half + i] = static_cast<float>(std::sin(double{angle}) * attention_factor_);
  }
}

}  // namespace vallm::engine
