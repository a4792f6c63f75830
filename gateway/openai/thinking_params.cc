#include "gateway/openai/thinking_params.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "gateway/openai/errors.h"
#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

using Json = nlohmann::ordered_json;

// Whether the effort is one with thoughts.
absl::StatusOr<std::optional<bool>> ReadEffort(JsonObject& body) {
  VALLM_ASSIGN_OR_RETURN(const auto effort, body.String("reasoning_effort"));
  if (!effort.has_value()) return std::nullopt;
  for (const char* name : {"none", "minimal", "low", "medium", "high", "xhigh", "max"}) {
    if (*effort == name) return *effort != "none" && *effort != "minimal";
  }
  return InvalidParam("reasoning_effort",
                      absl::StrCat("'reasoning_effort' is \"", *effort,
                                   "\"; it must be none, minimal, low, medium or high"));
}

absl::Status ReadBudget(JsonObject& object, const char* name, ThinkingParams* thinking) {
  VALLM_ASSIGN_OR_RETURN(const auto value,
                         object.Integer(name, 0, std::numeric_limits<int32_t>::max()));
  if (!value.has_value()) return absl::OkStatus();
  const std::string param = object.PathOf(name);
  if (thinking->token_budget.value_or(*value) != *value) {
    return InvalidParam(
        param, absl::StrCat("'", param, "' is ", *value, ", but '", thinking->budget_param, "' is ",
                            *thinking->token_budget));
  }
  thinking->token_budget = static_cast<int32_t>(*value);
  if (thinking->budget_param.empty()) thinking->budget_param = param;
  return absl::OkStatus();
}

// {"type": "enabled", "budget_tokens": N} or {"type": "disabled"}. Returns whether it is enabled.
absl::StatusOr<std::optional<bool>> ReadObject(JsonObject& body, ThinkingParams* thinking,
                                               std::vector<std::string>* ignored) {
  const Json* object = body.Find("thinking");
  if (object == nullptr) return std::nullopt;
  if (!object->is_object()) {
    return InvalidParam(
        "thinking", absl::StrCat("'thinking' must be an object, not ", ToAbsl(KindOf(*object))));
  }
  JsonObject fields(*object, "thinking.");
  VALLM_ASSIGN_OR_RETURN(const auto type, fields.String("type"));
  if (type != "enabled" && type != "disabled") {
    return InvalidParam("thinking.type", "'thinking.type' must be \"enabled\" or \"disabled\"");
  }
  VALLM_RETURN_IF_ERROR(ReadBudget(fields, "budget_tokens", thinking));
  for (const std::string& name : fields.Unread()) ignored->push_back(fields.PathOf(name));
  return *type == "enabled";
}

}  // namespace

absl::StatusOr<ThinkingParams> ReadThinking(JsonObject& body, const Json& template_kwargs,
                                            std::vector<std::string>* ignored) {
  ThinkingParams thinking;
  VALLM_RETURN_IF_ERROR(ReadBudget(body, "thinking_token_budget", &thinking));
  VALLM_RETURN_IF_ERROR(ReadBudget(body, "thinking_budget", &thinking));
  VALLM_ASSIGN_OR_RETURN(const auto by_object, ReadObject(body, &thinking, ignored));
  VALLM_ASSIGN_OR_RETURN(const auto by_effort, ReadEffort(body));
  VALLM_ASSIGN_OR_RETURN(const auto by_name, body.Bool("enable_thinking"));
  std::optional<bool> by_kwarg;
  // A template may take other values than these: they are its own business.
  const auto kwarg = template_kwargs.find("enable_thinking");
  if (kwarg != template_kwargs.end() && kwarg->is_boolean()) by_kwarg = kwarg->get<bool>();
  for (const std::optional<bool>& said : {by_kwarg, by_name, by_object, by_effort}) {
    if (!thinking.enabled.has_value()) thinking.enabled = said;
  }
  if (thinking.token_budget == 0 && !thinking.enabled.has_value()) thinking.enabled = false;
  return thinking;
}

absl::Status NameTheThinking(const absl::Status& status, const ThinkingParams& thinking) {
  absl::string_view why = status.message();
  if (thinking.budget_param.empty() || !absl::IsInvalidArgument(status) ||
      !absl::ConsumePrefix(&why, "thinking: ")) {
    return status;
  }
  return InvalidParam(thinking.budget_param, absl::StrCat("'", thinking.budget_param, "': ", why));
}

}  // namespace vallm::gateway
