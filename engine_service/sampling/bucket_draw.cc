#include "engine_service/sampling/bucket_draw.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <numeric>

#include "engine_service/sampling/weight_walk.h"

namespace vallm::engine {

double BucketDraw::Distribute(std::span<const float> logits, std::span<const float> weights,
                              float min_weight) {
  const float least = std::max(min_weight, std::numeric_limits<float>::min());
  float best = -std::numeric_limits<float>::infinity();
  float worst = std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (weights[i] < least) continue;
    best = std::max(best, logits[i]);
    worst = std::min(worst, logits[i]);
  }
  // Rounding is monotonic: a better token is never in a later bucket.
  const float scale = worst < best ? (kBuckets - 1) / (best - worst) : 0;
  bucket_of_.resize(logits.size());
  masses_.fill(0);
  for (size_t i = 0; i < logits.size(); ++i) {
    bucket_of_[i] = kDropped;
    if (weights[i] < least) continue;
    const auto bucket = std::min(static_cast<size_t>((best - logits[i]) * scale), kBuckets - 1);
    bucket_of_[i] = static_cast<int16_t>(bucket);
    masses_[bucket] += weights[i];
  }
  return std::accumulate(masses_.begin(), masses_.end(), 0.0);
}

void BucketDraw::Gather(size_t bucket, std::span<const float> logits,
                        std::span<const float> weights) {
  tokens_.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (bucket_of_[i] != static_cast<int16_t>(bucket)) continue;
    tokens_.push_back({static_cast<int32_t>(i), logits[i]});
  }
  const auto better = [](const ScoredToken& a, const ScoredToken& b) { return a.Beats(b); };
  // One bucket has them all when all logits are equal, and then in order.
  if (!std::is_sorted(tokens_.begin(), tokens_.end(), better)) {
    std::sort(tokens_.begin(), tokens_.end(), better);
  }
  token_weights_.clear();
  for (const ScoredToken& token : tokens_) {
    token_weights_.push_back(weights[static_cast<size_t>(token.token_id)]);
  }
}

int32_t BucketDraw::Draw(std::span<const float> logits, std::span<const float> weights,
                         float min_weight, float top_p, double uniform) {
  const double total = Distribute(logits, weights, min_weight);
  size_t kept = kBuckets;  // buckets with anything that is kept
  size_t kept_of_last = logits.size();
  if (top_p < 1) {
    const double wanted = top_p * total;
    double before = 0;  // mass of the buckets before the last one that is kept
    kept = 1;
    while (kept < kBuckets && before + masses_[kept - 1] < wanted) before += masses_[kept++ - 1];
    Gather(kept - 1, logits, weights);
    double mass = 0;
    kept_of_last = 0;
    while (kept_of_last < token_weights_.size() && before + mass < wanted) {
      mass += token_weights_[kept_of_last++];
    }
    masses_[kept - 1] = mass;
  }
  const std::span<const double> masses(masses_.data(), kept);
  const double target = uniform * std::accumulate(masses.begin(), masses.end(), 0.0);
  const size_t drawn = WalkTo(masses, target);
  const double before = std::accumulate(masses.begin(), masses.begin() + drawn, 0.0);
  Gather(drawn, logits, weights);
  if (drawn + 1 == kept) token_weights_.resize(std::min(kept_of_last, token_weights_.size()));
  return tokens_[WalkTo<double>(token_weights_, target - before)].token_id;
}

}  // namespace vallm::engine
