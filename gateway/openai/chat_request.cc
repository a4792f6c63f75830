#include "gateway/openai/chat_request.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "gateway/openai/chat_messages.h"
#include "gateway/openai/errors.h"
#include "gateway/openai/thinking_params.h"
#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

using Json = nlohmann::ordered_json;

// What tool_choice says.
struct ToolChoice {
  std::string mode;  // "auto", "none" or "required"
  std::string name;  // with "required": the one function; empty: any
  // The only functions that may be called; absent: all of them.
  std::optional<std::vector<std::string>> allowed = std::nullopt;
};

// {"type": "function", "function": {"name": …}}, or {"type": "function", "name": …}; `path` is its
// own.
absl::StatusOr<std::string> ReadFunctionName(const Json& choice, const std::string& path) {
  if (!choice.is_object()) {
    return InvalidParam(
        path, absl::StrCat("'", path, "' must be an object, not ", ToAbsl(KindOf(choice))));
  }
  JsonObject fields(choice, path + ".");
  const Json* function = fields.Find("function");
  if (function != nullptr && !function->is_object()) {
    return InvalidParam(fields.PathOf("function"),
                        absl::StrCat("'", fields.PathOf("function"), "' must be an object, not ",
                                     ToAbsl(KindOf(*function))));
  }
  JsonObject inner(function == nullptr ? choice : *function,
                   fields.PathOf(function == nullptr ? "" : "function."));
  VALLM_ASSIGN_OR_RETURN(const auto name, inner.String("name"));
  if (!name.has_value() || name->empty()) {
    const std::string param = fields.PathOf("function.name");
    return InvalidParam(param, absl::StrCat("'", param, "' is missing"));
  }
  return *name;
}

// {"mode": "auto" or "required", "tools": [{"type": "function", "function": {"name": …}}, …]}
absl::StatusOr<ToolChoice> ReadAllowedTools(const Json* object) {
  const std::string path = "tool_choice.allowed_tools";
  if (object == nullptr || !object->is_object()) {
    return InvalidParam(path, absl::StrCat("'", path, "' must be an object"));
  }
  JsonObject fields(*object, path + ".");
  VALLM_ASSIGN_OR_RETURN(const auto mode, fields.String("mode"));
  if (mode.value_or("auto") != "auto" && mode != "required") {
    return InvalidParam(path + ".mode",
                        absl::StrCat("'", path, ".mode' must be \"auto\" or \"required\""));
  }
  const Json* tools = fields.Find("tools");
  if (tools == nullptr || !tools->is_array() || tools->empty()) {
    return InvalidParam(path + ".tools",
                        absl::StrCat("'", path, ".tools' must be an array with a tool in it"));
  }
  ToolChoice choice = {.mode = mode.value_or("auto"), .name = ""};
  choice.allowed.emplace();
  for (size_t i = 0; i < tools->size(); ++i) {
    VALLM_ASSIGN_OR_RETURN(std::string name,
                           ReadFunctionName((*tools)[i], absl::StrCat(path, ".tools[", i, "]")));
    choice.allowed->push_back(std::move(name));
  }
  return choice;
}

absl::StatusOr<ToolChoice> ReadToolChoice(JsonObject& body, bool tools_given) {
  const ToolChoice by_default = {.mode = tools_given ? "auto" : "none", .name = ""};
  const Json* value = body.Find("tool_choice");
  if (value == nullptr) return by_default;
  if (value->is_object()) {
    JsonObject fields(*value, "tool_choice.");
    VALLM_ASSIGN_OR_RETURN(const auto type, fields.String("type"));
    if (type == "allowed_tools") return ReadAllowedTools(fields.Find("allowed_tools"));
    if (type != "function") {
      return InvalidParam("tool_choice",
                          "'tool_choice' must be \"auto\", \"none\", \"required\", "
                          "{\"type\": \"function\", \"function\": {\"name\": ...}} or "
                          "{\"type\": \"allowed_tools\", \"allowed_tools\": ...}");
    }
    VALLM_ASSIGN_OR_RETURN(std::string name, ReadFunctionName(*value, "tool_choice"));
    return ToolChoice{.mode = "required", .name = std::move(name)};
  }
  VALLM_ASSIGN_OR_RETURN(const auto text, body.String("tool_choice"));
  const std::string mode = text.value_or("");
  if (mode != "auto" && mode != "none" && mode != "required") {
    return InvalidParam("tool_choice",
                        absl::StrCat("'tool_choice' is \"", mode,
                                     "\"; it must be \"auto\", \"none\" or \"required\""));
  }
  return ToolChoice{.mode = mode, .name = ""};
}

bool HasTool(const Json& tools, const std::string& name) {
  return std::any_of(tools.begin(), tools.end(),
                     [&](const Json& tool) { return tool["function"]["name"] == name; });
}

// A call that must come: the answer is held to the format of calls.
absl::Status ForceToolCall(const ToolChoice& choice, const Json* tools,
                           const ChatRequestRules& rules, ChatRequest* request) {
  if (tools == nullptr || tools->empty()) {
    return InvalidParam("tool_choice", "'tool_choice' forces a call, but there are no 'tools'");
  }
  if (!rules.forced_tool_choice) {
    return UnsupportedParam("tool_choice",
                            "'tool_choice' that forces a call needs a server started with "
                            "--tool-call-parser hermes");
  }
  if (!choice.name.empty() && !HasTool(*tools, choice.name)) {
    return InvalidParam("tool_choice", absl::StrCat("'tool_choice' names \"", choice.name,
                                                    "\", which is not among 'tools'"));
  }
  if (request->params.constraint.has_value()) {
    return InvalidParam("tool_choice",
                        "'tool_choice' that forces a call and a format of the answer "
                        "(response_format, structured_outputs, guided_...) exclude each other");
  }
  request->params.constraint =
      AnswerConstraint{.kind = AnswerConstraint::Kind::kToolCalls,
                       .tools = tools->dump(),
                       .tool_name = choice.name,
                       .single_call = !choice.name.empty() || !request->parallel_tool_calls,
                       .param = "tools"};
  return absl::OkStatus();
}

// A format of the answer beside tools that may be called: the answer is in the format, or calls.
absl::Status AllowToolCalls(const ChatRequestRules& rules, ChatRequest* request) {
  if (!rules.forced_tool_choice) {
    return UnsupportedParam("tool_choice",
                            "'tool_choice' \"auto\" beside a format of the answer "
                            "(response_format, structured_outputs, guided_...) needs a server "
                            "started with --tool-call-parser hermes");
  }
  request->params.constraint->tools = request->tools_json;
  request->params.constraint->single_call = !request->parallel_tool_calls;
  return absl::OkStatus();
}

// Of `tools` those that may be called: the model is not shown the others.
absl::StatusOr<Json> AllowedTools(const Json* tools, const std::vector<std::string>& allowed) {
  for (const std::string& name : allowed) {
    if (tools != nullptr && HasTool(*tools, name)) continue;
    return InvalidParam("tool_choice.allowed_tools",
                        absl::StrCat("'tool_choice.allowed_tools' names \"", name,
                                     "\", which is not among 'tools'"));
  }
  Json kept = Json::array();
  for (const Json& tool : *tools) {
    if (std::find(allowed.begin(), allowed.end(), tool["function"]["name"]) != allowed.end()) {
      kept.push_back(tool);
    }
  }
  return kept;
}

// Tools that the model may or must call, or none.
absl::Status ReadTools(JsonObject& body, const ChatRequestRules& rules, ChatRequest* request) {
  const Json* tools = body.Find("tools");
  if (tools != nullptr) VALLM_RETURN_IF_ERROR(CheckTools(*tools));
  const bool given = tools != nullptr && !tools->empty();
  VALLM_ASSIGN_OR_RETURN(const ToolChoice choice, ReadToolChoice(body, given));
  Json allowed;
  if (choice.allowed.has_value()) {
    VALLM_ASSIGN_OR_RETURN(allowed, AllowedTools(tools, *choice.allowed));
    tools = &allowed;
  }
  VALLM_ASSIGN_OR_RETURN(const auto parallel, body.Bool("parallel_tool_calls"));
  request->parallel_tool_calls = parallel.value_or(true);
  if (choice.mode == "required") {
    VALLM_RETURN_IF_ERROR(ForceToolCall(choice, tools, rules, request));
    request->tools_json = tools->dump();
    return absl::OkStatus();
  }
  if (!given || choice.mode == "none") return absl::OkStatus();
  if (!rules.auto_tool_choice) {
    return InvalidParam("tool_choice",
                        "'tools' with 'tool_choice' \"auto\" needs a server started with "
                        "--enable-auto-tool-choice and --tool-call-parser");
  }
  request->tools_json = tools->dump();
  if (request->params.constraint.has_value()) {
    VALLM_RETURN_IF_ERROR(AllowToolCalls(rules, request));
  }
  return absl::OkStatus();
}

// What becomes of the reasoning.
absl::Status ReadReasoningOptions(JsonObject& body, GenerationParams* params) {
  VALLM_ASSIGN_OR_RETURN(const auto include, body.Bool("include_reasoning"));
  VALLM_ASSIGN_OR_RETURN(const auto separate, body.Bool("separate_reasoning"));
  VALLM_ASSIGN_OR_RETURN(const auto stream, body.Bool("stream_reasoning"));
  params->include_reasoning = include.value_or(!params->thinking.excluded);
  params->separate_reasoning = separate.value_or(true);
  params->stream_reasoning = stream.value_or(true);
  if (!params->separate_reasoning && !params->include_reasoning) {
    return InvalidParam("separate_reasoning",
                        "'separate_reasoning' false and 'include_reasoning' false exclude each "
                        "other: what is not separated cannot be left out");
  }
  if (!params->separate_reasoning && params->constraint.has_value()) {
    return InvalidParam("separate_reasoning",
                        "'separate_reasoning' false and a format of the answer (tool_choice, "
                        "response_format, structured_outputs, guided_...) exclude each other");
  }
  return absl::OkStatus();
}

absl::Status ReadOwnTemplate(JsonObject& body, const ChatRequestRules& rules,
                             ChatRequest* request) {
  VALLM_ASSIGN_OR_RETURN(const auto chat_template, body.String("chat_template"));
  if (!chat_template.has_value()) return absl::OkStatus();
  if (!rules.request_chat_template) {
    return UnsupportedParam("chat_template",
                            "'chat_template' in a request needs a server started with "
                            "--trust-request-chat-template");
  }
  if (chat_template->empty()) return InvalidParam("chat_template", "'chat_template' is empty");
  request->chat_template = *chat_template;
  return absl::OkStatus();
}

// `messages` are checked.
absl::Status ReadTemplateOptions(JsonObject& body, const Json& messages, ChatRequest* request) {
  Json kwargs = Json::object();
  if (const Json* given = body.Find("chat_template_kwargs")) {
    if (!given->is_object()) {
      return InvalidParam(
          "chat_template_kwargs",
          absl::StrCat("'chat_template_kwargs' must be an object, not ", ToAbsl(KindOf(*given))));
    }
    kwargs = *given;
  }
  VALLM_ASSIGN_OR_RETURN(request->params.thinking,
                         ReadThinking(body, kwargs, messages, &request->params.ignored));
  const std::optional<bool> enabled = request->params.thinking.enabled;
  if (enabled.has_value() &&
      (!kwargs.contains("enable_thinking") || kwargs["enable_thinking"].is_null())) {
    kwargs["enable_thinking"] = *enabled;
  }
  if (!kwargs.empty()) request->template_kwargs_json = kwargs.dump();

  VALLM_ASSIGN_OR_RETURN(const auto add, body.Bool("add_generation_prompt"));
  VALLM_ASSIGN_OR_RETURN(const auto continued, body.Bool("continue_final_message"));
  request->continue_final_message = continued.value_or(false);
  request->add_generation_prompt = add.value_or(!request->continue_final_message);
  if (request->add_generation_prompt && request->continue_final_message) {
    return InvalidParam("continue_final_message",
                        "'continue_final_message' and 'add_generation_prompt' exclude each other");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ChatRequest> ParseChatRequest(std::string_view body, const ChatRequestRules& rules) {
  VALLM_ASSIGN_OR_RETURN(Json json, ParseJsonObject(body));
  return ReadChatRequest(std::move(json), rules);
}

absl::StatusOr<ChatRequest> ReadChatRequest(Json body, const ChatRequestRules& rules) {
  ChatRequest request;
  JsonObject fields(body, "");
  VALLM_RETURN_IF_ERROR(ReadGenerationParams(fields, &request.params));
  VALLM_RETURN_IF_ERROR(ReadChatLogprobs(fields, rules.max_logprobs, &request.params));
  if (request.params.truncate_prompt_tokens.has_value() && request.params.truncate_right) {
    return UnsupportedParam(
        "truncation_side", "'truncation_side' right would cut off what opens the answer of a chat");
  }
  VALLM_RETURN_IF_ERROR(ReadTools(fields, rules, &request));
  VALLM_RETURN_IF_ERROR(ReadOwnTemplate(fields, rules, &request));
  if (fields.Find("messages") == nullptr) {
    return InvalidParam("messages", "'messages' is missing");
  }
  Json& messages = body["messages"];
  if (messages.is_array() && messages.size() > static_cast<size_t>(rules.max_messages)) {
    return InvalidParam("messages", absl::StrCat("'messages' has ", messages.size(),
                                                 " entries; the limit is ", rules.max_messages));
  }
  VALLM_RETURN_IF_ERROR(CheckAndNormalizeMessages(&messages));
  VALLM_RETURN_IF_ERROR(ReadTemplateOptions(fields, messages, &request));
  VALLM_RETURN_IF_ERROR(ReadReasoningOptions(fields, &request.params));
  if (request.continue_final_message && messages.back()["role"] != "assistant") {
    return InvalidParam("continue_final_message",
                        "'continue_final_message' needs a last message of role \"assistant\"");
  }
  request.messages_json = messages.dump();
  VALLM_RETURN_IF_ERROR(RefuseOrIgnoreTheRest(fields, &request.params));
  return request;
}

}  // namespace vallm::gateway
