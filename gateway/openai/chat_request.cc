#include "gateway/openai/chat_request.h"

#include <algorithm>
#include <optional>
#include <utility>

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
};

absl::StatusOr<ToolChoice> ReadToolChoice(JsonObject& body, bool tools_given) {
  const ToolChoice by_default = {.mode = tools_given ? "auto" : "none", .name = ""};
  const Json* value = body.Find("tool_choice");
  if (value == nullptr) return by_default;
  if (value->is_object()) {
    JsonObject fields(*value, "tool_choice.");
    VALLM_ASSIGN_OR_RETURN(const auto type, fields.String("type"));
    const Json* function = fields.Find("function");
    if (type != "function" || function == nullptr || !function->is_object()) {
      return InvalidParam("tool_choice",
                          "'tool_choice' must be \"auto\", \"none\", \"required\" or "
                          "{\"type\": \"function\", \"function\": {\"name\": ...}}");
    }
    JsonObject inner(*function, "tool_choice.function.");
    VALLM_ASSIGN_OR_RETURN(const auto name, inner.String("name"));
    if (!name.has_value() || name->empty()) {
      return InvalidParam("tool_choice.function.name", "'tool_choice.function.name' is missing");
    }
    return ToolChoice{.mode = "required", .name = *name};
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

// Tools that the model may or must call, or none.
absl::Status ReadTools(JsonObject& body, const ChatRequestRules& rules, ChatRequest* request) {
  const Json* tools = body.Find("tools");
  if (tools != nullptr) VALLM_RETURN_IF_ERROR(CheckTools(*tools));
  const bool given = tools != nullptr && !tools->empty();
  VALLM_ASSIGN_OR_RETURN(const ToolChoice choice, ReadToolChoice(body, given));
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

absl::Status ReadTemplateOptions(JsonObject& body, ChatRequest* request) {
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
                         ReadThinking(body, kwargs, &request->params.ignored));
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
  // The newer name of max_tokens wins.
  VALLM_ASSIGN_OR_RETURN(const auto max_completion,
                         fields.Integer("max_completion_tokens", 1, INT32_MAX));
  if (max_completion) request.params.max_tokens = static_cast<int32_t>(*max_completion);
  VALLM_RETURN_IF_ERROR(ReadTools(fields, rules, &request));
  VALLM_RETURN_IF_ERROR(ReadTemplateOptions(fields, &request));

  if (fields.Find("messages") == nullptr) {
    return InvalidParam("messages", "'messages' is missing");
  }
  Json& messages = body["messages"];
  if (messages.is_array() && messages.size() > static_cast<size_t>(rules.max_messages)) {
    return InvalidParam("messages", absl::StrCat("'messages' has ", messages.size(),
                                                 " entries; the limit is ", rules.max_messages));
  }
  VALLM_RETURN_IF_ERROR(CheckAndNormalizeMessages(&messages));
  if (request.continue_final_message && messages.back()["role"] != "assistant") {
    return InvalidParam("continue_final_message",
                        "'continue_final_message' needs a last message of role \"assistant\"");
  }
  request.messages_json = messages.dump();
  VALLM_RETURN_IF_ERROR(RefuseOrIgnoreTheRest(fields, &request.params));
  return request;
}

}  // namespace vallm::gateway
