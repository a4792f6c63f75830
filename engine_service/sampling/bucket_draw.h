// A draw from the most likely tokens when these are too many to be worth sorting: tokens are put
// into buckets of similar logits, and only the buckets where the cut and the draw fall are sorted.
//
// Not thread-safe (the scratch); one per thread.
#ifndef VALLM_ENGINE_SERVICE_SAMPLING_BUCKET_DRAW_H_
#define VALLM_ENGINE_SERVICE_SAMPLING_BUCKET_DRAW_H_

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "engine_service/sampling/selection.h"

namespace vallm::engine {

class BucketDraw {
 public:
  // Keeps the tokens whose weight is at least `min_weight` and above 0, of these the smallest set
  // of the most likely ones that has top_p of their weight, and draws the token at `uniform` of
  // that set's weight, best tokens first. REQUIRES: weights [vocab] fall with the logits and the
  // best one is 1; 0 < top_p <= 1; 0 <= uniform < 1. Cost: two to four passes over the vocabulary.
  int32_t Draw(std::span<const float> logits, std::span<const float> weights, float min_weight,
               float top_p, double uniform);

 private:
  static constexpr size_t kBuckets = 1024;
  static constexpr int16_t kDropped = -1;

  // Fills bucket_of_ and masses_; returns the sum of the latter.
  double Distribute(std::span<const float> logits, std::span<const float> weights,
                    float min_weight);
  // The tokens of one bucket to tokens_ and token_weights_, best first.
  void Gather(size_t bucket, std::span<const float> logits, std::span<const float> weights);

  std::vector<int16_t> bucket_of_;  // [vocab], or kDropped
  std::array<double, kBuckets> masses_;
  std::vector<ScoredToken> tokens_;
  std::vector<double> token_weights_;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_SAMPLING_BUCKET_DRAW_H_
