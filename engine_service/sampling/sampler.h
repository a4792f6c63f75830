// Logits to a token and its log-probabilities. No state but scratch memory: what comes out depends
// on the arguments alone, bit for bit, so a request's tokens do not depend on its neighbours.
//
// Not thread-safe (the scratch); one per thread.
#ifndef VALLM_ENGINE_SERVICE_SAMPLING_SAMPLER_H_
#define VALLM_ENGINE_SERVICE_SAMPLING_SAMPLER_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "engine_service/sampling/bucket_draw.h"
#include "engine_service/sampling/logits_processors.h"
#include "engine_service/sampling/params.h"
#include "engine_service/sampling/sampling_state.h"
#include "engine_service/sampling/selection.h"

namespace vallm::engine {

struct TokenLogprob {
  int32_t token_id;
  float logprob;

  bool operator==(const TokenLogprob&) const = default;
};

// Log-probabilities at one position: natural logarithms of the model's own distribution, before
// anything in SamplingParams has changed it.
struct PositionLogprobs {
  float logprob = 0;              // of the token that is there
  int32_t rank = 0;               // 1 + the number of tokens more likely than it
  std::vector<TokenLogprob> top;  // best first, lower id first on ties

  bool operator==(const PositionLogprobs&) const = default;
};

class Sampler {
 public:
  // Draws the next token of `state` from logits [vocab] f32, of which `mask` may forbid some: the
  // processors of logits_processors.h, then Draw. The caller appends the token to `state`.
  // Errors: INTERNAL when a logit is NaN or none is finite: the model is broken, not the request;
  // INVALID_ARGUMENT when the request and the mask leave no token to choose from.
  absl::StatusOr<int32_t> Sample(std::span<const float> logits, const SamplingState& state,
                                 TokenMask mask = {});

  // Draws the token at output position `position` (0 is the first output token) from logits [vocab]
  // f32 as they are. Greedy takes the highest logit, the lower id on a tie. Otherwise temperature,
  // then min_p (weights below min_p times the best one's go), then top_k (exactly k tokens, lower
  // ids on ties), then top_p over what is left (the smallest set of most likely tokens whose
  // probability reaches top_p), then one draw with UniformAt(seed, position): over the tokens best
  // first, or in the order of ids when nothing was cut. Probabilities are good to 1e-6.
  // Errors: INTERNAL as above.
  absl::StatusOr<int32_t> Draw(std::span<const float> logits, const SamplingParams& params,
                               int64_t position);

  // Log-probabilities of `token_id` and of the min(top_count, vocab) most likely tokens.
  // REQUIRES: `logits` passed Sample or Draw, 0 <= token_id < vocab, top_count >= 0.
  PositionLogprobs Logprobs(std::span<const float> logits, int32_t token_id, int32_t top_count);

  // The same for logits that nothing is drawn from: those that predict a token of the prompt.
  // Errors: INTERNAL as above.
  absl::StatusOr<PositionLogprobs> ScorePrompt(std::span<const float> logits, int32_t token_id,
                                               int32_t top_count);

 private:
  // Weights are relative to the best token's, which is 1.
  double Weight(float logit) const;
  int32_t DrawUncut(std::span<const float> logits, double uniform);
  int32_t DrawOfTopK(std::span<const float> logits, const SamplingParams& params, double uniform);
  int32_t DrawOfLikely(std::span<const float> logits, const SamplingParams& params, double uniform);
  // For likely sets too large to be worth a selection.
  int32_t DrawOfMany(std::span<const float> logits, const SamplingParams& params, double uniform);
  // Fills candidate_weights_, up to the first below `floor`; returns their sum.
  double WeighCandidates(double floor);
  int32_t DrawOfCandidates(double top_p, double total, double uniform) const;

  LogitsProcessors processors_;
  BucketDraw bucket_draw_;
  float best_ = 0;                         // of the draw under way: the highest logit
  float inverse_temperature_ = 1;          // of the draw under way
  std::vector<ScoredToken> candidates_;    // best first
  std::vector<double> candidate_weights_;  // of the leading candidates that min_p keeps
  std::vector<double> block_sums_;
  std::vector<float> weights_;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_SAMPLING_SAMPLER_H_
