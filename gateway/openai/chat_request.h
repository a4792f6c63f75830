// The body of POST /v1/chat/completions, checked.
#ifndef VALLM_GATEWAY_OPENAI_CHAT_REQUEST_H_
#define VALLM_GATEWAY_OPENAI_CHAT_REQUEST_H_

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "gateway/openai/generation_params.h"

namespace vallm::gateway {

struct ChatRequest {
  GenerationParams params;

  // What the chat template is given: JSON as the client wrote it (numbers and key order kept), with
  // role "developer" as "system" and `reasoning` as `reasoning_content`.
  std::string messages_json;
  std::string tools_json;            // empty: none, or tool_choice "none"
  std::string template_kwargs_json;  // empty: none
  std::string chat_template;         // the request's own; empty: the model's
  bool add_generation_prompt = true;
  bool continue_final_message = false;

  bool parallel_tool_calls = true;
};

struct ChatRequestRules {
  // Whether "tools" with tool_choice "auto" is allowed: a tool parser is configured.
  bool auto_tool_choice = true;
  // Whether an answer can be held to calls: the tool parser is hermes, whose format constraints
  // know.
  bool forced_tool_choice = true;
  int max_logprobs = 20;  // most top_logprobs
  int max_messages = 4096;
  // Whether a request may bring its own chat_template.
  bool request_chat_template = false;
};

// `body` is the parsed JSON object. Errors: INVALID_ARGUMENT naming the parameter.
absl::StatusOr<ChatRequest> ReadChatRequest(nlohmann::ordered_json body,
                                            const ChatRequestRules& rules);

// Errors: INVALID_ARGUMENT naming the parameter, down to messages[2].content[0].type.
absl::StatusOr<ChatRequest> ParseChatRequest(std::string_view body, const ChatRequestRules& rules);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_OPENAI_CHAT_REQUEST_H_
