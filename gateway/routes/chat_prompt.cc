#include "gateway/routes/chat_prompt.h"

namespace vallm::gateway {

absl::StatusOr<v1::RenderChatResponse> RenderChatPrompt(GatewayContext& context,
                                                        const ChatRequest& chat,
                                                        const std::string& request_id) {
  v1::RenderChatRequest render;
  render.set_messages_json(chat.messages_json);
  render.set_tools_json(chat.tools_json);
  render.set_template_kwargs_json(chat.template_kwargs_json);
  render.set_prompt_end(chat.continue_final_message  ? v1::PROMPT_END_CONTINUE_FINAL_MESSAGE
                        : chat.add_generation_prompt ? v1::PROMPT_END_ADD_GENERATION_PROMPT
                                                     : v1::PROMPT_END_AS_IS);
  return context.tokenizer.RenderChat(render, request_id);
}

}  // namespace vallm::gateway
