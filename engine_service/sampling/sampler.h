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
#include "engine_service/sampling/params.h"
#include "engine_service/sampling/selection.h"

namespace vallm::engine {

struct TokenLogprob {
  int32_t token_id;
  float logprob;

  bool operator==(const TokenLogprob&) const = default;
};

// Log-probabilities at one output position: natural logarithms of the model's own distribution,
// before temperature and truncation.
struct PositionLogprobs {
  float logprob = 0;              // of the chosen token
  int32_t rank = 0;               // 1 + the number of tokens more likely than the chosen one
  std::vector<TokenLogprob> top;  // best first, lower id first on ties

  bool operator==(const PositionLogprobs&) const = default;
};

class Sampler {
 public:
  // Draws the token at output position `position` (0 is the first output token) from
  // logits [vocab] f32. Greedy takes the highest logit, the lower id on a tie. Otherwise
  // temperature, then top_k (exactly k tokens, lower ids on ties), then top_p over what is left
  // (the smallest set of most likely tokens whose probability reaches top_p), then one draw with
  // UniformAt(seed, position).
  // Errors: INTERNAL when a logit is NaN or none is finite: the model is broken, not the request.
  absl::StatusOr<int32_t> Sample(std::span<const float> logits, const SamplingParams& params,
                                 int64_t position);

  // Log-probabilities of `token_id` and of the min(top_count, vocab) most likely tokens.
  // REQUIRES: `logits` passed Sample, 0 <= token_id < vocab, top_count >= 0.
  PositionLogprobs Logprobs(std::span<const float> logits, int32_t token_id, int32_t top_count);

 private:
  // One draw over the tokens in candidates_, weighted by exp((logit - best) / temperature).
  int32_t DrawTruncated(std::span<const float> logits, const SamplingParams& params,
                        double uniform);
  int32_t DrawUntruncated(std::span<const float> logits, float temperature, float best,
                          double uniform);

  std::vector<ScoredToken> candidates_;
  std::vector<double> weights_;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_SAMPLING_SAMPLER_H_
