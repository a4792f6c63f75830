// What changes logits before a token is chosen from them, in the order of vLLM's V1 sampler
// (docs.vllm.ai, vllm.v1.sample.sampler), whose grammar mask likewise comes before all others:
//
//   1. token mask           a constraint's: what it does not name becomes -inf
//   2. allowed_token_ids    everything else becomes -inf
//   3. bad_words            the last id of a sequence whose others end the output becomes -inf
//   4. min_tokens           ids that end the request become -inf while the output is shorter
//   5. logit_bias           is added
//   6. repetition_penalty   tokens of prompt and output: positive logits / r, others * r
//   7. frequency_penalty    tokens of the output: - penalty * count
//   8. presence_penalty     tokens of the output: - penalty
//
// Then, in sampler.h: temperature, min_p, top_k, top_p. Greedy choice takes the best after step 8.
// Log-probabilities are those of the logits before step 1.
//
// Not thread-safe (the scratch); one per thread.
#ifndef VALLM_ENGINE_SERVICE_SAMPLING_LOGITS_PROCESSORS_H_
#define VALLM_ENGINE_SERVICE_SAMPLING_LOGITS_PROCESSORS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "engine_service/sampling/sampling_state.h"

namespace vallm::engine {

// The tokens that a constraint allows next: bit id % 64 of word id / 64. Ids beyond the last word
// are forbidden. Empty: there is no constraint.
using TokenMask = std::span<const uint64_t>;

class LogitsProcessors {
 public:
  // `logits` with all of the above applied for the next position of `state`. Views `logits` itself
  // where nothing applies, else memory that the next call overwrites. All -inf when every token is
  // forbidden. REQUIRES: all ids of `state` are below logits.size().
  // Cost: nothing when nothing applies; else a copy and a step per token concerned.
  std::span<const float> Apply(std::span<const float> logits, const SamplingState& state,
                               TokenMask mask);

 private:
  std::vector<float> scratch_;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_SAMPLING_LOGITS_PROCESSORS_H_
