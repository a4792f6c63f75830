#include "engine_service/sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "engine_service/sampling/philox.h"

namespace vallm::engine {
namespace {

// Tokens that a top_p-only draw looks at first; most distributions reach top_p within them.
constexpr int64_t kFirstNucleus = 64;
constexpr int64_t kNucleusGrowth = 8;

// Weight of a token relative to the best one's, which is 1. In double, and with the maximum taken
// off first, so that no temperature overflows.
double Weight(float logit, float best, float temperature) {
  return std::exp((static_cast<double>(logit) - best) / temperature);
}

struct Best {
  int32_t token_id = -1;
  float logit = 0;
  bool has_nan = false;
};

Best FindBest(std::span<const float> logits) {
  Best best;
  for (size_t i = 0; i < logits.size(); ++i) {
    best.has_nan |= std::isnan(logits[i]);
    if (best.token_id < 0 || logits[i] > best.logit) {
      best.token_id = static_cast<int32_t>(i);
      best.logit = logits[i];
    }
  }
  return best;
}

// The first index whose running sum exceeds `target`; the last one with any weight if rounding
// kept every sum below.
size_t Walk(std::span<const double> weights, double target) {
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

}  // namespace

absl::StatusOr<int32_t> Sampler::Sample(std::span<const float> logits, const SamplingParams& params,
                                        int64_t position) {
  const Best best = FindBest(logits);
  if (best.token_id < 0 || best.has_nan || !std::isfinite(best.logit)) {
    return absl::InternalError(absl::StrCat(
        "the model returned logits without a finite maximum at output position ", position));
  }
  if (params.temperature == 0) return best.token_id;
  const double uniform = UniformAt(params.seed, position);
  const bool top_k_on = params.top_k > 0 && static_cast<size_t>(params.top_k) < logits.size();
  if (!top_k_on && params.top_p >= 1) {
    return DrawUntruncated(logits, params.temperature, best.logit, uniform);
  }
  return DrawTruncated(logits, params, uniform);
}

int32_t Sampler::DrawUntruncated(std::span<const float> logits, float temperature, float best,
                                 double uniform) {
  weights_.resize(logits.size());
  double total = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    weights_[i] = Weight(logits[i], best, temperature);
    total += weights_[i];
  }
  return static_cast<int32_t>(Walk(weights_, uniform * total));
}

int32_t Sampler::DrawTruncated(std::span<const float> logits, const SamplingParams& params,
                               double uniform) {
  const auto vocab = static_cast<int64_t>(logits.size());
  const bool top_k_on = params.top_k > 0 && params.top_k < vocab;
  int64_t count = top_k_on ? params.top_k : std::min(kFirstNucleus, vocab);
  SelectBest(logits, count, candidates_);
  const float best = candidates_.front().logit;

  double total = 0;  // the mass that top_p is a share of
  if (!top_k_on) {
    for (const float logit : logits) total += Weight(logit, best, params.temperature);
  }
  while (true) {
    weights_.resize(candidates_.size());
    for (size_t i = 0; i < candidates_.size(); ++i) {
      weights_[i] = Weight(candidates_[i].logit, best, params.temperature);
      if (top_k_on) total += weights_[i];
    }
    // top_p == 1 keeps all of top_k, which rounding must not cut short.
    size_t kept = candidates_.size();
    double mass = 0;
    bool reached = top_k_on || count == vocab;
    for (size_t i = 0; i < candidates_.size(); ++i) {
      mass += weights_[i];
      if (params.top_p < 1 && mass >= params.top_p * total) {
        kept = i + 1;
        reached = true;
        break;
      }
    }
    if (reached) {
      weights_.resize(kept);
      return candidates_[Walk(weights_, uniform * mass)].token_id;
    }
    count = std::min(count * kNucleusGrowth, vocab);
    SelectBest(logits, count, candidates_);
  }
}

PositionLogprobs Sampler::Logprobs(std::span<const float> logits, int32_t token_id,
                                   int32_t top_count) {
  const float best = FindBest(logits).logit;
  double sum = 0;
  for (const float logit : logits) sum += Weight(logit, best, 1);
  const double log_total = best + std::log(sum);
  const auto logprob = [&](float logit) { return static_cast<float>(logit - log_total); };

  PositionLogprobs result;
  const float chosen = logits[static_cast<size_t>(token_id)];
  result.logprob = logprob(chosen);
  result.rank = 1 + static_cast<int32_t>(std::count_if(
                        logits.begin(), logits.end(), [&](float logit) { return logit > chosen; }));
  if (top_count > 0) {
    SelectBest(logits, top_count, candidates_);
    result.top.reserve(candidates_.size());
    for (const ScoredToken& token : candidates_) {
      result.top.push_back({token.token_id, logprob(token.logit)});
    }
  }
  return result;
}

}  // namespace vallm::engine
