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
  if (prompt_tokens > limits.max_input_len || prompt_tokens >= limits.max_model_len) {
    const bool input_limit = limits.max_input_len < limits.max_model_len - 1;
    return TooLong(
        absl::StrCat("the prompt has ", prompt_tokens, " tokens in the ", ToAbsl(param),
                     input_limit ? "; the longest prompt allowed is " : "; the model's limit of ",
                     input_limit ? limits.max_input_len : limits.max_model_len,
                     input_limit ? " tokens" : " tokens leaves no room for an answer"),
        param);
  }
  const int64_t room = limits.max_model_len - prompt_tokens;
  if (requested.has_value() && *requested > room && limits.overflow == MaxTokensOverflow::kReject) {
    return TooLong(absl::StrCat("this model's maximum context length is ", limits.max_model_len,
                                " tokens, but ", prompt_tokens + *requested, " were requested (",
                                prompt_tokens, " in the ", ToAbsl(param), ", ", *requested,
                                " for the answer)"),
                   param);
  }
  return static_cast<int32_t>(std::min<int64_t>(requested.value_or(room), room));
}

}  // namespace vallm::gateway
