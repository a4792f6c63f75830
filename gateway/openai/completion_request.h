// The body of POST /v1/completions, checked.
#ifndef VALLM_GATEWAY_OPENAI_COMPLETION_REQUEST_H_
#define VALLM_GATEWAY_OPENAI_COMPLETION_REQUEST_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/openai/generation_params.h"

namespace vallm::gateway {

// Text to encode, or token ids.
using PromptInput = std::variant<std::string, std::vector<int32_t>>;

struct CompletionRequest {
  GenerationParams params;           // max_tokens is 16 when not given, as OpenAI says
  bool echo = false;                 // the prompt comes before the answer; not with `stream`
  std::vector<PromptInput> prompts;  // 1 to 128; each gets params.best_of choices
};

// `prompt` may be a string, token ids, or a list of either. `max_logprobs` is the most that
// `logprobs` may ask for. Errors: INVALID_ARGUMENT naming the
// parameter.
absl::StatusOr<CompletionRequest> ParseCompletionRequest(std::string_view body,
                                                         int max_logprobs = 20);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_OPENAI_COMPLETION_REQUEST_H_
