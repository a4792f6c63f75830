#include "engine_service/sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "engine_service/sampling/logits_scan.h"
#include "engine_service/sampling/philox.h"
#include "engine_service/sampling/weight_walk.h"

namespace vallm::engine {
namespace {

// Tokens that a draw without top_k looks at first; most distributions reach top_p, or fall below
// min_p, within them. Then more, up to as many as are cheaper to select than to sort into buckets.
constexpr int64_t kFirstLikely = 64;
constexpr int64_t kLikelyGrowth = 8;
constexpr int64_t kMostSelected = 4096;

bool IsUsable(const BestLogit& best) {
  return best.token_id >= 0 && !best.has_nan && std::isfinite(best.logit);
}

absl::Status CheckUsable(const BestLogit& best, int64_t position) {
  if (IsUsable(best)) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(
      "the model returned logits without a finite maximum at output position ", position));
}

}  // namespace

absl::StatusOr<int32_t> Sampler::Sample(std::span<const float> logits, const SamplingState& state,
                                        TokenMask mask) {
  const std::span<const float> processed = processors_.Apply(logits, state, mask);
  absl::StatusOr<int32_t> token = Draw(processed, state.params(), state.next_position());
  if (token.ok() || processed.data() == logits.data()) return token;
  VALLM_RETURN_IF_ERROR(CheckUsable(FindBest(logits), state.next_position()));
  return absl::InvalidArgumentError(absl::StrCat(
      "no token is left to choose from at output position ", state.next_position(),
      ": allowed_token_ids, bad_words, min_tokens and constraints together forbid all"));
}

absl::StatusOr<int32_t> Sampler::Draw(std::span<const float> logits, const SamplingParams& params,
                                      int64_t position) {
  const BestLogit best = FindBest(logits);
  VALLM_RETURN_IF_ERROR(CheckUsable(best, position));
  if (params.temperature == 0) return best.token_id;
  best_ = best.logit;
  // Finite even where the temperature is subnormal.
  inverse_temperature_ = std::min(1 / params.temperature, std::numeric_limits<float>::max());
  const double uniform = UniformAt(params.seed, position);
  if (params.top_k > 0 && static_cast<size_t>(params.top_k) < logits.size()) {
    return DrawOfTopK(logits, params, uniform);
  }
  if (params.top_p < 1 || params.min_p > 0) return DrawOfLikely(logits, params, uniform);
  return DrawUncut(logits, uniform);
}

double Sampler::Weight(float logit) const {
  // In double, and with the maximum taken off first, so that no temperature overflows.
  return std::exp((static_cast<double>(logit) - best_) * inverse_temperature_);
}

int32_t Sampler::DrawUncut(std::span<const float> logits, double uniform) {
  block_sums_.resize((logits.size() + kWeightBlock - 1) / kWeightBlock);
  const double total = SumWeights(logits, best_, inverse_temperature_, block_sums_);
  const double target = uniform * total;
  const size_t block = WalkTo<double>(block_sums_, target);
  double before = 0;
  for (size_t i = 0; i < block; ++i) before += block_sums_[i];
  const size_t begin = block * kWeightBlock;
  const auto tokens = logits.subspan(begin, std::min(kWeightBlock, logits.size() - begin));
  weights_.resize(tokens.size());
  FindWeights(tokens, best_, inverse_temperature_, weights_);
  return static_cast<int32_t>(begin + WalkTo<float>(weights_, target - before));
}

double Sampler::WeighCandidates(double floor) {
  candidate_weights_.clear();
  double total = 0;
  for (const ScoredToken& token : candidates_) {
    const double weight = Weight(token.logit);
    if (weight < floor) break;
    candidate_weights_.push_back(weight);
    total += weight;
  }
  return total;
}

int32_t Sampler::DrawOfCandidates(double top_p, double total, double uniform) const {
  // top_p == 1 keeps them all, which rounding must not cut short.
  size_t kept = candidate_weights_.size();
  double mass = 0;
  for (size_t i = 0; i < candidate_weights_.size(); ++i) {
    mass += candidate_weights_[i];
    if (top_p < 1 && mass >= top_p * total) {
      kept = i + 1;
      break;
    }
  }
  return candidates_[WalkTo(std::span<const double>(candidate_weights_).first(kept),
                            uniform * mass)]
      .token_id;
}

int32_t Sampler::DrawOfTopK(std::span<const float> logits, const SamplingParams& params,
                            double uniform) {
  SelectBest(logits, params.top_k, candidates_);
  return DrawOfCandidates(params.top_p, WeighCandidates(params.min_p), uniform);
}

int32_t Sampler::DrawOfLikely(std::span<const float> logits, const SamplingParams& params,
                              double uniform) {
  const auto vocab = static_cast<int64_t>(logits.size());
  // Without min_p the mass that top_p is a share of is that of all tokens.
  const double of_all = params.min_p > 0 ? 0 : SumWeights(logits, best_, inverse_temperature_, {});
  for (int64_t count = std::min(kFirstLikely, vocab);;
       count = std::min(count * kLikelyGrowth, vocab)) {
    SelectBest(logits, count, candidates_);
    const double selected = WeighCandidates(params.min_p);
    const bool all_survivors = candidate_weights_.size() < candidates_.size() || count == vocab;
    if (all_survivors) {
      return DrawOfCandidates(params.top_p, params.min_p > 0 ? selected : of_all, uniform);
    }
    if (params.min_p == 0 && selected >= params.top_p * of_all) {
      return DrawOfCandidates(params.top_p, of_all, uniform);
    }
    if (count * kLikelyGrowth > kMostSelected) return DrawOfMany(logits, params, uniform);
  }
}

int32_t Sampler::DrawOfMany(std::span<const float> logits, const SamplingParams& params,
                            double uniform) {
  weights_.resize(logits.size());
  FindWeights(logits, best_, inverse_temperature_, weights_);
  return bucket_draw_.Draw(logits, weights_, params.min_p, params.top_p, uniform);
}

PositionLogprobs Sampler::Logprobs(std::span<const float> logits, int32_t token_id,
                                   int32_t top_count) {
  const float best = FindBest(logits).logit;
  const double log_total = best + std::log(SumWeights(logits, best, /*scale=*/1, {}));
  const auto logprob = [&](float logit) { return static_cast<float>(logit - log_total); };

  PositionLogprobs result;
  const float actual = logits[static_cast<size_t>(token_id)];
  result.logprob = logprob(actual);
  result.rank = 1 + static_cast<int32_t>(CountAbove(logits, actual));
  if (top_count > 0) {
    SelectBest(logits, top_count, candidates_);
    result.top.reserve(candidates_.size());
    for (const ScoredToken& token : candidates_) {
      result.top.push_back({token.token_id, logprob(token.logit)});
    }
  }
  return result;
}

absl::StatusOr<PositionLogprobs> Sampler::ScorePrompt(std::span<const float> logits,
                                                      int32_t token_id, int32_t top_count) {
  if (!IsUsable(FindBest(logits))) {
    return absl::InternalError(
        "the model returned logits without a finite maximum for a token of the prompt");
  }
  return Logprobs(logits, token_id, top_count);
}

}  // namespace vallm::engine
