// How one request's tokens are drawn: the one validated type, and the one place where absent fields
// take the model's defaults. Pure, thread-safe.
#ifndef VALLM_ENGINE_SERVICE_SAMPLING_PARAMS_H_
#define VALLM_ENGINE_SERVICE_SAMPLING_PARAMS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"

namespace vallm::engine {

struct LogitBias {
  int32_t token_id;
  float bias;  // added to its logit

  bool operator==(const LogitBias&) const = default;
};

// Complete and in range. The defaults are those of a model that states none: plain sampling. What
// each field does, and in which order, is said in logits_processors.h and sampler.h.
struct SamplingParams {
  float temperature = 1;  // >= 0 and finite; 0 is greedy
  float top_p = 1;        // in (0, 1]; 1 is off
  int32_t top_k = 0;      // >= 0; 0 is off
  int64_t seed = 0;
  float min_p = 0;               // in [0, 1]; 0 is off
  float repetition_penalty = 1;  // > 0 and finite; 1 is off
  float presence_penalty = 0;    // in [-2, 2]; 0 is off
  float frequency_penalty = 0;   // in [-2, 2]; 0 is off

  std::vector<LogitBias> logit_bias = {};            // biases in [-100, 100], one per id
  std::vector<std::vector<int32_t>> bad_words = {};  // none empty
  std::vector<int32_t> allowed_ids = {};             // ascending; empty: all

  int32_t min_tokens = 0;             // output tokens before which end_ids are forbidden
  std::vector<int32_t> end_ids = {};  // ids that end the request

  bool operator==(const SamplingParams&) const = default;
};

// What a caller said; absent fields take the model's defaults.
struct SamplingOverrides {
  std::optional<float> temperature = {};
  std::optional<float> top_p = {};
  std::optional<int32_t> top_k = {};
  std::optional<int64_t> seed = {};
  std::optional<float> min_p = {};
  std::optional<float> repetition_penalty = {};
  std::optional<float> presence_penalty = {};
  std::optional<float> frequency_penalty = {};
  std::vector<LogitBias> logit_bias = {};
  std::vector<std::vector<int32_t>> bad_words = {};
  std::optional<std::vector<int32_t>> allowed_ids = {};
};

// `defaults` with `overrides` applied, checked; min_tokens and end_ids stay those of `defaults`.
// Where the caller gave no seed, defaults.seed is used: pass a freshly drawn one. Errors:
// INVALID_ARGUMENT naming the field, its value and its range, as for ids outside [0, vocab_size).
absl::StatusOr<SamplingParams> ResolveSampling(const SamplingOverrides& overrides,
                                               const SamplingParams& defaults, int32_t vocab_size);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_SAMPLING_PARAMS_H_
