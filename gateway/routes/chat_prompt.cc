#include "gateway/routes/chat_prompt.h"

#include <string_view>

#include "absl/strings/match.h"
#include "common/strings.h"
#include "gateway/openai/errors.h"

namespace vallm::gateway {
namespace {

v1::PromptEnd PromptEndOf(const ChatRequest& chat) {
  if (chat.continue_final_message) return v1::PROMPT_END_CONTINUE_FINAL_MESSAGE;
  return chat.add_generation_prompt ? v1::PROMPT_END_ADD_GENERATION_PROMPT : v1::PROMPT_END_AS_IS;
}

// RenderChatRequest or CountTokensRequest.
template <typename Request>
Request RequestOf(const ChatRequest& chat) {
  Request request;
  request.set_messages_json(chat.messages_json);
  request.set_tools_json(chat.tools_json);
  request.set_template_kwargs_json(chat.template_kwargs_json);
  request.set_prompt_end(PromptEndOf(chat));
  request.set_chat_template(chat.chat_template);
  return request;
}

// The service's refusal with the parameter at fault: the one that its message begins with
// ("messages[1].content: ..."), or the messages, which the template would not have.
absl::Status NameTheField(absl::Status status) {
  if (!absl::IsInvalidArgument(status)) return status;
  const std::string_view message = ToStd(status.message());
  std::string_view param = message.substr(0, message.find(": "));
  if (param == "template_kwargs_json") param = "chat_template_kwargs";
  const bool known = absl::StartsWith(ToAbsl(param), "messages[") ||
                     absl::StartsWith(ToAbsl(param), "tools[") || param == "chat_template" ||
                     param == "chat_template_kwargs";
  return InvalidParam(known ? param : "messages", message);
}

}  // namespace

absl::StatusOr<v1::RenderChatResponse> RenderChatPrompt(GatewayContext& context,
                                                        const ChatRequest& chat,
                                                        const RequestId& request_id,
                                                        bool with_text) {
  auto request = RequestOf<v1::RenderChatRequest>(chat);
  request.set_return_text(with_text);
  auto rendered = context.tokenizer.RenderChat(request, request_id);
  if (!rendered.ok()) return NameTheField(rendered.status());
  return rendered;
}

absl::StatusOr<int64_t> CountPromptTokens(GatewayContext& context, const ChatRequest& chat,
                                          const RequestId& request_id) {
  const auto counted =
      context.tokenizer.CountTokens(RequestOf<v1::CountTokensRequest>(chat), request_id);
  if (!counted.ok()) return NameTheField(counted.status());
  return counted->token_count();
}

}  // namespace vallm::gateway
