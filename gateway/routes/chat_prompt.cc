#include "gateway/routes/chat_prompt.h"

#include "common/status_macros.h"

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
  return request;
}

}  // namespace

absl::StatusOr<v1::RenderChatResponse> RenderChatPrompt(GatewayContext& context,
                                                        const ChatRequest& chat,
                                                        const RequestId& request_id) {
  return context.tokenizer.RenderChat(RequestOf<v1::RenderChatRequest>(chat), request_id);
}

absl::StatusOr<int64_t> CountPromptTokens(GatewayContext& context, const ChatRequest& chat,
                                          const RequestId& request_id) {
  VALLM_ASSIGN_OR_RETURN(
      const v1::CountTokensResponse counted,
      context.tokenizer.CountTokens(RequestOf<v1::CountTokensRequest>(chat), request_id));
  return counted.token_count();
}

}  // namespace vallm::gateway
