// Whether a prompt and its answer fit the model, decided before an engine is asked. Pure.
#ifndef VALLM_GATEWAY_GENERATION_LENGTH_LIMITS_H_
#define VALLM_GATEWAY_GENERATION_LENGTH_LIMITS_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "gateway/options.h"

namespace vallm::gateway {

struct LengthLimits {
  int64_t max_model_len = 0;  // prompt and output together
  int64_t max_input_len = 0;  // prompt alone
  MaxTokensOverflow overflow = MaxTokensOverflow::kClamp;
};

// The max_tokens to run with: what was `requested`, or all that fits when nothing was.
// Errors: INVALID_ARGUMENT with code context_length_exceeded, naming `param` ("messages" or
// "prompt") and the exact counts, when the prompt is too long, leaves no room for a token, or (with
// kReject) leaves less room than requested.
absl::StatusOr<int32_t> FitMaxTokens(int64_t prompt_tokens, std::optional<int32_t> requested,
                                     const LengthLimits& limits, std::string_view param);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_GENERATION_LENGTH_LIMITS_H_
