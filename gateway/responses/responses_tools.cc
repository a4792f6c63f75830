#include "gateway/responses/responses_tools.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "gateway/openai/errors.h"
#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

using Json = nlohmann::ordered_json;

absl::StatusOr<std::string> RequiredName(JsonObject& fields) {
  VALLM_ASSIGN_OR_RETURN(auto name, fields.String("name"));
  if (!name.has_value() || name->empty()) return MissingField(fields.PathOf("name"));
  return *std::move(name);
}

absl::Status RequireFunction(JsonObject& fields) {
  VALLM_ASSIGN_OR_RETURN(const auto type, fields.String("type"));
  if (!type.has_value()) return MissingField(fields.PathOf("type"));
  if (*type == "function") return absl::OkStatus();
  return UnsupportedParam(fields.PathOf("type"),
                          absl::StrCat("'", fields.PathOf("type"), "' is \"", *type,
                                       "\"; only tools of type \"function\" are supported"));
}

absl::StatusOr<Json> FunctionOf(const Json& tool, const std::string& path) {
  if (!tool.is_object()) return WrongType(path, "an object", tool);
  JsonObject fields(tool, path + ".");
  VALLM_RETURN_IF_ERROR(RequireFunction(fields));
  VALLM_ASSIGN_OR_RETURN(const std::string name, RequiredName(fields));
  VALLM_ASSIGN_OR_RETURN(const auto description, fields.String("description"));
  VALLM_RETURN_IF_ERROR(fields.Bool("strict").status());
  const Json* parameters = fields.Find("parameters");
  if (parameters != nullptr && !parameters->is_object()) {
    return WrongType(fields.PathOf("parameters"), "an object", *parameters);
  }
  Json function = {{"name", name}};
  if (description.has_value()) function["description"] = *description;
  if (parameters != nullptr) function["parameters"] = *parameters;
  return Json{{"type", "function"}, {"function", std::move(function)}};
}

absl::Status CheckMode(JsonObject& fields, const std::string& mode) {
  if (mode == "auto" || mode == "none" || mode == "required") return absl::OkStatus();
  return InvalidParam(fields.PathOf("mode"),
                      absl::StrCat("'", fields.PathOf("mode"), "' is \"", mode,
                                   "\"; it must be \"auto\" or \"required\""));
}

// {"type": "allowed_tools", "mode": …, "tools": [{"type": "function", "name": …}]}
absl::Status ReadAllowedTools(JsonObject& choice, Json* chat) {
  VALLM_ASSIGN_OR_RETURN(const auto mode, choice.String("mode"));
  VALLM_RETURN_IF_ERROR(CheckMode(choice, mode.value_or("auto")));
  const std::string path = choice.PathOf("tools");
  const Json* allowed = choice.Find("tools");
  if (allowed == nullptr) return MissingField(path);
  if (!allowed->is_array()) return WrongType(path, "an array", *allowed);
  std::vector<std::string> names;
  for (size_t i = 0; i < allowed->size(); ++i) {
    const std::string tool_path = absl::StrCat(path, "[", i, "]");
    if (!(*allowed)[i].is_object()) return WrongType(tool_path, "an object", (*allowed)[i]);
    JsonObject tool((*allowed)[i], tool_path + ".");
    VALLM_RETURN_IF_ERROR(RequireFunction(tool));
    VALLM_ASSIGN_OR_RETURN(names.emplace_back(), RequiredName(tool));
  }
  Json kept = Json::array();
  for (Json& tool : (*chat)["tools"]) {
    const std::string name = tool["function"]["name"];
    if (std::find(names.begin(), names.end(), name) != names.end()) kept.push_back(std::move(tool));
  }
  (*chat)["tools"] = std::move(kept);
  (*chat)["tool_choice"] = mode.value_or("auto");
  return absl::OkStatus();
}

absl::Status ReadToolChoice(JsonObject& body, Json* chat) {
  const Json* choice = body.Find("tool_choice");
  if (choice == nullptr) return absl::OkStatus();
  if (!choice->is_object()) {  // a mode, which the chat's reader checks
    (*chat)["tool_choice"] = *choice;
    return absl::OkStatus();
  }
  JsonObject fields(*choice, "tool_choice.");
  VALLM_ASSIGN_OR_RETURN(const auto type, fields.String("type"));
  if (type == "allowed_tools") return ReadAllowedTools(fields, chat);
  VALLM_RETURN_IF_ERROR(RequireFunction(fields));
  VALLM_ASSIGN_OR_RETURN(const std::string name, RequiredName(fields));
  (*chat)["tool_choice"] = {{"type", "function"}, {"function", {{"name", name}}}};
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadResponsesTools(JsonObject& body, Json* chat) {
  const Json* tools = body.Find("tools");
  if (tools != nullptr) {
    if (!tools->is_array()) return WrongType("tools", "an array", *tools);
    (*chat)["tools"] = Json::array();
    for (size_t i = 0; i < tools->size(); ++i) {
      VALLM_ASSIGN_OR_RETURN(Json function,
                             FunctionOf((*tools)[i], absl::StrCat("tools[", i, "]")));
      (*chat)["tools"].push_back(std::move(function));
    }
  }
  return ReadToolChoice(body, chat);
}

}  // namespace vallm::gateway
