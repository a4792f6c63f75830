#include "gateway/generation/length_limits.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/strings.h"
#include "gateway/openai/errors.h"

namespace vallm::gateway {
namespace {

absl::Status TooLong(std::string_view message, std::string_view param) {
  return WithErrorCode(absl::InvalidArgumentError(ToAbsl(message)), "context_length_exceeded",
                       param);
}

}  // namespace

absl::StatusOr<int32_t> FitMaxTokens(int64_t prompt_tokens, std::optional<int32_t> requested,
                                     const LengthLimits& limits, std::string_view param) {
  const std::string asked =
      requested.has_value() ? absl::StrCat(" and max_tokens asks for ", *requested, " more") : "";
  const std::string counts =
      absl::StrCat("the ", ToAbsl(param), param == "messages" ? " have " : " has ", prompt_tokens,
                   " tokens", asked);
  if (prompt_tokens >= limits.max_model_len) {
    return TooLong(absl::StrCat("this model's maximum context length is ", limits.max_model_len,
                                " tokens, which must leave room for an answer; ", counts),
                   param);
  }
  if (prompt_tokens > limits.max_input_len) {
    return TooLong(absl::StrCat("this model's longest input is ", limits.max_input_len,
                                " tokens, of a maximum context length of ", limits.max_model_len,
                                "; ", counts),
                   param);
  }
  const int64_t room = limits.max_model_len - prompt_tokens;
  if (requested.has_value() && *requested > room && limits.overflow == MaxTokensOverflow::kReject) {
    return TooLong(absl::StrCat("this model's maximum context length is ", limits.max_model_len,
                                " tokens; ", counts, ", ", prompt_tokens + *requested, " in all"),
                   param);
  }
  return static_cast<int32_t>(std::min<int64_t>(requested.value_or(room), room));
}

}  // namespace vallm::gateway
