// How one request's tokens are drawn: the one validated type, and the one place where absent fields
// take the model's defaults. Pure, thread-safe.
#ifndef VALLM_ENGINE_SERVICE_SAMPLING_PARAMS_H_
#define VALLM_ENGINE_SERVICE_SAMPLING_PARAMS_H_

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"

namespace vallm::engine {

// Complete and in range. The defaults are those of a model that states none: plain sampling.
struct SamplingParams {
  float temperature = 1;  // >= 0 and finite; 0 is greedy
  float top_p = 1;        // in (0, 1]; 1 is off
  int32_t top_k = 0;      // >= 0; 0 is off
  int64_t seed = 0;

  bool operator==(const SamplingParams&) const = default;
};

// What a caller said; absent fields take the model's defaults.
struct SamplingOverrides {
  std::optional<float> temperature = {};
  std::optional<float> top_p = {};
  std::optional<int32_t> top_k = {};
  std::optional<int64_t> seed = {};
};

// `defaults` with `overrides` applied, checked. Where the caller gave no seed, defaults.seed is
// used: pass a freshly drawn one. Errors: INVALID_ARGUMENT naming the field, its value and its
// range.
absl::StatusOr<SamplingParams> ResolveSampling(const SamplingOverrides& overrides,
                                               const SamplingParams& defaults);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_SAMPLING_PARAMS_H_
