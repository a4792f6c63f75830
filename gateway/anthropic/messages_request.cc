#include "gateway/anthropic/messages_request.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "gateway/anthropic/message_blocks.h"
#include "gateway/openai/errors.h"
#include "gateway/openai/json_object.h"
#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

using Json = nlohmann::ordered_json;

// Members that ask for something that is not here.
constexpr const char* kUnsupported[] = {"mcp_servers", "container", "context_management"};
// Members of the chat API that have no place in a message.
constexpr const char* kChatOnly[] = {"n",
                                     "best_of",
                                     "logprobs",
                                     "top_logprobs",
                                     "prompt_logprobs",
                                     "return_token_ids",
                                     "return_prompt_text",
                                     "include_metrics"};

absl::StatusOr<const Json*> ObjectOrNull(JsonObject& body, const char* name) {
  const Json* value = body.Find(name);
  if (value == nullptr || value->is_object()) return value;
  return InvalidParam(name,
                      absl::StrCat("'", name, "' must be an object, not ", ToAbsl(KindOf(*value))));
}

absl::StatusOr<Json> FunctionOf(const Json& tool, const std::string& path) {
  if (!tool.is_object()) {
    return InvalidParam(path,
                        absl::StrCat("'", path, "' must be an object, not ", ToAbsl(KindOf(tool))));
  }
  JsonObject fields(tool, path + ".");
  VALLM_ASSIGN_OR_RETURN(const auto type, fields.String("type"));
  if (type.value_or("custom") != "custom") {
    return UnsupportedParam(
        fields.PathOf("type"),
        absl::StrCat("'", fields.PathOf("type"), "' is \"", *type,
                     "\"; only tools of the client (\"custom\") are supported"));
  }
  VALLM_ASSIGN_OR_RETURN(const auto name, fields.String("name"));
  if (!name.has_value() || name->empty()) {
    return InvalidParam(fields.PathOf("name"),
                        absl::StrCat("'", fields.PathOf("name"), "' is missing"));
  }
  VALLM_ASSIGN_OR_RETURN(const auto description, fields.String("description"));
  const Json* schema = fields.Find("input_schema");
  if (schema == nullptr || !schema->is_object()) {
    return InvalidParam(fields.PathOf("input_schema"),
                        absl::StrCat("'", fields.PathOf("input_schema"), "' must be an object"));
  }
  Json function = {{"name", *name}};
  if (description.has_value()) function["description"] = *description;
  function["parameters"] = *schema;
  return Json{{"type", "function"}, {"function", std::move(function)}};
}

absl::Status ReadTools(JsonObject& body, Json* chat) {
  if (const Json* tools = body.Find("tools")) {
    if (!tools->is_array()) {
      return InvalidParam("tools",
                          absl::StrCat("'tools' must be an array, not ", ToAbsl(KindOf(*tools))));
    }
    Json functions = Json::array();
    for (size_t i = 0; i < tools->size(); ++i) {
      VALLM_ASSIGN_OR_RETURN(Json function,
                             FunctionOf((*tools)[i], absl::StrCat("tools[", i, "]")));
      functions.push_back(std::move(function));
    }
    (*chat)["tools"] = std::move(functions);
  }
  VALLM_ASSIGN_OR_RETURN(const Json* choice, ObjectOrNull(body, "tool_choice"));
  if (choice == nullptr) return absl::OkStatus();
  JsonObject fields(*choice, "tool_choice.");
  VALLM_ASSIGN_OR_RETURN(const auto type, fields.String("type"));
  VALLM_ASSIGN_OR_RETURN(const auto name, fields.String("name"));
  VALLM_ASSIGN_OR_RETURN(const auto single, fields.Bool("disable_parallel_tool_use"));
  if (type == "tool" && name.has_value() && !name->empty()) {
    (*chat)["tool_choice"] = {{"type", "function"}, {"function", {{"name", *name}}}};
  } else if (type == "auto" || type == "none") {
    (*chat)["tool_choice"] = *type;
  } else if (type == "any") {
    (*chat)["tool_choice"] = "required";
  } else {
    return InvalidParam(
        "tool_choice",
        "'tool_choice' must be {\"type\": \"auto\"}, \"any\", \"none\", or \"tool\" "
        "with a \"name\"");
  }
  if (single.value_or(false)) (*chat)["parallel_tool_calls"] = false;
  return absl::OkStatus();
}

// `format` is {"type": "json_schema", "schema": …}.
absl::Status ReadFormat(const Json& format, const std::string& path, Json* chat) {
  if (!format.is_object() || format.value("type", "") != "json_schema" ||
      !format.contains("schema")) {
    return InvalidParam(
        path, absl::StrCat("'", path, "' must be {\"type\": \"json_schema\", \"schema\": …}"));
  }
  (*chat)["response_format"] = {
      {"type", "json_schema"}, {"json_schema", {{"name", "answer"}, {"schema", format["schema"]}}}};
  return absl::OkStatus();
}

absl::Status ReadOutput(JsonObject& body, Json* chat) {
  if (const Json* format = body.Find("output_format")) {
    VALLM_RETURN_IF_ERROR(ReadFormat(*format, "output_format", chat));
  }
  VALLM_ASSIGN_OR_RETURN(const Json* config, ObjectOrNull(body, "output_config"));
  if (config == nullptr) return absl::OkStatus();
  JsonObject fields(*config, "output_config.");
  if (const Json* format = fields.Find("format")) {
    VALLM_RETURN_IF_ERROR(ReadFormat(*format, "output_config.format", chat));
  }
  VALLM_ASSIGN_OR_RETURN(const auto effort, fields.String("effort"));
  if (effort.has_value()) (*chat)["reasoning_effort"] = *effort;
  return absl::OkStatus();
}

absl::Status RefuseUnsupported(JsonObject& body) {
  for (const char* name : kUnsupported) {
    const Json* value = body.Find(name);
    if (value == nullptr || value->empty()) continue;
    return UnsupportedParam(name, absl::StrCat("'", name, "' is not supported"));
  }
  for (const char* name : kChatOnly) {
    if (body.Find(name) == nullptr) continue;
    return UnsupportedParam(
        name, absl::StrCat("'", name, "' is not supported here; use /v1/chat/completions"));
  }
  return absl::OkStatus();
}

absl::StatusOr<ChatRequest> Parse(std::string_view text, const ChatRequestRules& rules,
                                  bool max_tokens_required) {
  VALLM_ASSIGN_OR_RETURN(const Json json, ParseJsonObject(text));
  JsonObject body(json, "");
  VALLM_RETURN_IF_ERROR(RefuseUnsupported(body));
  const Json* max_tokens = body.Find("max_tokens");
  if (max_tokens_required && max_tokens == nullptr) {
    return InvalidParam("max_tokens", "'max_tokens' is missing");
  }
  const Json* messages = body.Find("messages");
  if (messages == nullptr) return InvalidParam("messages", "'messages' is missing");
  Json chat = Json::object();
  std::vector<std::string> ignored;
  VALLM_ASSIGN_OR_RETURN(chat["messages"],
                         ChatMessagesOf(body.Find("system"), *messages, &ignored));
  if (chat["messages"].back()["role"] == "assistant") chat["continue_final_message"] = true;
  VALLM_RETURN_IF_ERROR(ReadTools(body, &chat));
  VALLM_RETURN_IF_ERROR(ReadOutput(body, &chat));
  VALLM_ASSIGN_OR_RETURN(const auto stop, body.Strings("stop_sequences"));
  if (!stop.empty()) chat["stop"] = stop;
  if (max_tokens != nullptr) chat["max_tokens"] = *max_tokens;
  // What has not been translated has the same name and meaning in a chat, or is told as ignored.
  for (const std::string& name : body.Unread()) chat[name] = json[name];
  VALLM_ASSIGN_OR_RETURN(ChatRequest request, ReadChatRequest(std::move(chat), rules));
  ignored.insert(ignored.end(), request.params.ignored.begin(), request.params.ignored.end());
  request.params.ignored = std::move(ignored);
  return request;
}

}  // namespace

absl::StatusOr<ChatRequest> ParseMessagesRequest(std::string_view body,
                                                 const ChatRequestRules& rules) {
  return Parse(body, rules, /*max_tokens_required=*/true);
}

absl::StatusOr<ChatRequest> ParseCountTokensRequest(std::string_view body,
                                                    const ChatRequestRules& rules) {
  return Parse(body, rules, /*max_tokens_required=*/false);
}

}  // namespace vallm::gateway
