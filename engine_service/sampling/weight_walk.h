// Where a draw falls in a row of weights. Pure.
#ifndef VALLM_ENGINE_SERVICE_SAMPLING_WEIGHT_WALK_H_
#define VALLM_ENGINE_SERVICE_SAMPLING_WEIGHT_WALK_H_

#include <cstddef>
#include <span>

namespace vallm::engine {

// The first index whose running sum exceeds `target`; the last one with any weight if rounding kept
// every sum below. Indices without weight never come out unless all are without.
template <typename T>
size_t WalkTo(std::span<const T> weights, double target) {
  double sum = 0;
  size_t last = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] <= 0) continue;
    sum += weights[i];
    last = i;
    if (sum > target) return i;
  }
  return last;
}

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_SAMPLING_WEIGHT_WALK_H_
