// The ways in which clients say whether and how long a model may think, made one.
#ifndef VALLM_GATEWAY_OPENAI_THINKING_PARAMS_H_
#define VALLM_GATEWAY_OPENAI_THINKING_PARAMS_H_

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/openai/json_object.h"

namespace vallm::gateway {

struct ThinkingParams {
  std::optional<bool> enabled;          // absent: as the template has it
  std::optional<int32_t> token_budget;  // >= 0; absent: no limit
  std::string budget_param;             // what the client calls the budget
  bool excluded = false;                // thoughts are not to be in the answer
};

// Reads the switches: enable_thinking in chat_template_kwargs, which is `template_kwargs`, the
// parameter of that name, `thinking.type`, `reasoning.enabled`, `reasoning_effort` and
// `reasoning.effort` (none and minimal are off), of which the first that is there counts; and the
// budgets `thinking_token_budget`, `thinking_budget`, `thinking.budget_tokens` and
// `reasoning.max_tokens`, which must agree. A budget of 0 switches thinking off where no switch is
// given. Where none of these says anything, Qwen3's soft switch does: /think or /no_think as the
// first or last word of the last message of the user in `messages`, which are those of
// CheckAndNormalizeMessages. What nobody knows inside of the objects is added to `ignored`.
// Errors: INVALID_ARGUMENT naming the parameter.
absl::StatusOr<ThinkingParams> ReadThinking(JsonObject& body,
                                            const nlohmann::ordered_json& template_kwargs,
                                            const nlohmann::ordered_json& messages,
                                            std::vector<std::string>* ignored);

// The engine's refusal of a budget, put in the words of the client.
absl::Status NameTheThinking(const absl::Status& status, const ThinkingParams& thinking);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_OPENAI_THINKING_PARAMS_H_
