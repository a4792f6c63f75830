#include "engine_service/sampling/params.h"

#include <cmath>

#include "absl/strings/str_cat.h"

namespace vallm::engine {

absl::StatusOr<SamplingParams> ResolveSampling(const SamplingOverrides& overrides,
                                               const SamplingParams& defaults) {
  const SamplingParams params{.temperature = overrides.temperature.value_or(defaults.temperature),
                              .top_p = overrides.top_p.value_or(defaults.top_p),
                              .top_k = overrides.top_k.value_or(defaults.top_k),
                              .seed = overrides.seed.value_or(defaults.seed)};
  // Negated comparisons, so that NaN is refused as well.
  if (!(params.temperature >= 0) || !std::isfinite(params.temperature)) {
    return absl::InvalidArgumentError(
        absl::StrCat("temperature is ", params.temperature, "; it must be finite and at least 0"));
  }
  if (!(params.top_p > 0 && params.top_p <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("top_p is ", params.top_p, "; it must be above 0 and at most 1"));
  }
  if (params.top_k < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("top_k is ", params.top_k, "; it must be at least 0 (0 is off)"));
  }
  return params;
}

}  // namespace vallm::engine
