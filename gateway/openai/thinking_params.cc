#include "gateway/openai/thinking_params.h"

#include <limits>

#include "absl/strings/ascii.h"
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
absl::StatusOr<std::optional<bool>> ReadEffort(JsonObject& object, const char* name) {
  VALLM_ASSIGN_OR_RETURN(const auto effort, object.String(name));
  if (!effort.has_value()) return std::nullopt;
  for (const char* known : {"none", "minimal", "low", "medium", "high", "xhigh", "max"}) {
    if (*effort == known) return *effort != "none" && *effort != "minimal";
  }
  return InvalidParam(object.PathOf(name),
                      absl::StrCat("'", object.PathOf(name), "' is \"", *effort,
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

absl::StatusOr<const Json*> ObjectOrNull(JsonObject& body, const char* name) {
  const Json* object = body.Find(name);
  if (object == nullptr || object->is_object()) return object;
  return InvalidParam(
      name, absl::StrCat("'", name, "' must be an object, not ", ToAbsl(KindOf(*object))));
}

// {"type": "enabled", "budget_tokens": N}, {"type": "disabled"}, or {"type": "adaptive"}, which
// leaves it to the model. Returns whether it is enabled.
absl::StatusOr<std::optional<bool>> ReadThinkingObject(JsonObject& body, ThinkingParams* thinking,
                                                       std::vector<std::string>* ignored) {
  VALLM_ASSIGN_OR_RETURN(const Json* object, ObjectOrNull(body, "thinking"));
  if (object == nullptr) return std::nullopt;
  JsonObject fields(*object, "thinking.");
  VALLM_ASSIGN_OR_RETURN(const auto type, fields.String("type"));
  if (type != "enabled" && type != "disabled" && type != "adaptive") {
    return InvalidParam("thinking.type",
                        "'thinking.type' must be \"enabled\", \"disabled\" or \"adaptive\"");
  }
  VALLM_RETURN_IF_ERROR(ReadBudget(fields, "budget_tokens", thinking));
  for (const std::string& name : fields.Unread()) ignored->push_back(fields.PathOf(name));
  if (type == "adaptive") return std::nullopt;
  return *type == "enabled";
}

// {"effort": "high", "enabled": true, "max_tokens": N, "exclude": false}, as routers of many
// providers have it.
struct ReasoningObject {
  std::optional<bool> enabled;
  std::optional<bool> by_effort;
};

absl::StatusOr<ReasoningObject> ReadReasoningObject(JsonObject& body, ThinkingParams* thinking,
                                                    std::vector<std::string>* ignored) {
  ReasoningObject reasoning;
  VALLM_ASSIGN_OR_RETURN(const Json* object, ObjectOrNull(body, "reasoning"));
  if (object == nullptr) return reasoning;
  JsonObject fields(*object, "reasoning.");
  VALLM_ASSIGN_OR_RETURN(reasoning.enabled, fields.Bool("enabled"));
  VALLM_ASSIGN_OR_RETURN(reasoning.by_effort, ReadEffort(fields, "effort"));
  VALLM_ASSIGN_OR_RETURN(const auto exclude, fields.Bool("exclude"));
  thinking->excluded = exclude.value_or(false);
  VALLM_RETURN_IF_ERROR(ReadBudget(fields, "max_tokens", thinking));
  for (const std::string& name : fields.Unread()) ignored->push_back(fields.PathOf(name));
  return reasoning;
}

// What a word says about thinking.
std::optional<bool> SwitchOf(absl::string_view word) {
  if (word == "/think") return true;
  if (word == "/no_think" || word == "/nothink") return false;
  return std::nullopt;
}

std::optional<bool> SoftSwitchOf(absl::string_view text) {
  constexpr char kBlanks[] = " \t\r\n";
  text = absl::StripAsciiWhitespace(text);
  const size_t last_blank = text.find_last_of(kBlanks);
  const auto by_last =
      SwitchOf(last_blank == absl::string_view::npos ? text : text.substr(last_blank + 1));
  return by_last.has_value() ? by_last : SwitchOf(text.substr(0, text.find_first_of(kBlanks)));
}

std::optional<bool> SoftSwitch(const Json& messages) {
  for (auto message = messages.rbegin(); message != messages.rend(); ++message) {
    if ((*message)["role"] != "user") continue;
    const Json& content = (*message)["content"];
    if (content.is_string()) return SoftSwitchOf(content.get_ref<const std::string&>());
    std::string text;  // of its parts, which are joined in the prompt
    for (const Json& part : content) text += part["text"].get_ref<const std::string&>();
    return SoftSwitchOf(text);
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<ThinkingParams> ReadThinking(JsonObject& body, const Json& template_kwargs,
                                            const Json& messages,
                                            std::vector<std::string>* ignored) {
  ThinkingParams thinking;
  VALLM_RETURN_IF_ERROR(ReadBudget(body, "thinking_token_budget", &thinking));
  VALLM_RETURN_IF_ERROR(ReadBudget(body, "thinking_budget", &thinking));
  VALLM_ASSIGN_OR_RETURN(const auto by_object, ReadThinkingObject(body, &thinking, ignored));
  VALLM_ASSIGN_OR_RETURN(const auto reasoning, ReadReasoningObject(body, &thinking, ignored));
  VALLM_ASSIGN_OR_RETURN(const auto by_effort, ReadEffort(body, "reasoning_effort"));
  VALLM_ASSIGN_OR_RETURN(const auto by_name, body.Bool("enable_thinking"));
  std::optional<bool> by_kwarg;
  // A template may take other values than these: they are its own business.
  const auto kwarg = template_kwargs.find("enable_thinking");
  if (kwarg != template_kwargs.end() && kwarg->is_boolean()) by_kwarg = kwarg->get<bool>();
  const std::optional<bool> by_budget =
      thinking.token_budget == 0 ? std::optional<bool>(false) : std::nullopt;
  for (const std::optional<bool>& said : {by_kwarg, by_name, by_object, reasoning.enabled,
                                          by_effort, reasoning.by_effort, by_budget}) {
    if (!thinking.enabled.has_value()) thinking.enabled = said;
  }
  if (!thinking.enabled.has_value()) thinking.enabled = SoftSwitch(messages);
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
