// Passes over a whole row of logits, vectorised: one is a few dozen microseconds on a vocabulary of
// 152k. Pure, thread-safe. The instruction set changes the speed and never a bit: every lane does
// the same operations in the same order.
#ifndef VALLM_ENGINE_SERVICE_SAMPLING_LOGITS_SCAN_H_
#define VALLM_ENGINE_SERVICE_SAMPLING_LOGITS_SCAN_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace vallm::engine {

struct BestLogit {
  int32_t token_id = -1;  // lowest of those with the highest logit; -1: there are no logits
  float logit = 0;
  bool has_nan = false;  // then the other fields mean nothing
};
BestLogit FindBest(std::span<const float> logits);

// First index >= begin of a logit above `bar`; logits.size() when there is none.
size_t FindAbove(std::span<const float> logits, size_t begin, float bar);

// Number of logits above `bar`.
int64_t CountAbove(std::span<const float> logits, float bar);

// Weights are exp((logit - best) * scale), as float with a relative error below 1e-6 where the
// exponent is above -20, and 0 where it is below -87. REQUIRES: logits <= best, scale > 0 and
// finite.
//
// Tokens whose weights are summed together.
inline constexpr size_t kWeightBlock = 512;
// The sum of all weights; writes the sum of each kWeightBlock tokens to `block_sums`, which may be
// empty and else has room for all.
double SumWeights(std::span<const float> logits, float best, float scale,
                  std::span<double> block_sums);
// The weights themselves. REQUIRES: weights.size() == logits.size().
void FindWeights(std::span<const float> logits, float best, float scale, std::span<float> weights);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_SAMPLING_LOGITS_SCAN_H_
