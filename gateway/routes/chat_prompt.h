// A checked chat request to prompt tokens.
#ifndef VALLM_GATEWAY_ROUTES_CHAT_PROMPT_H_
#define VALLM_GATEWAY_ROUTES_CHAT_PROMPT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "gateway/openai/chat_request.h"
#include "gateway/routes/context.h"
#include "vallm/v1/tokenizer.pb.h"

namespace vallm::gateway {

// The prompt, and its text if that is wanted. Errors: INVALID_ARGUMENT naming the parameter when
// the template refuses the conversation, UNAVAILABLE when the tokenizer service does not answer.
absl::StatusOr<v1::RenderChatResponse> RenderChatPrompt(GatewayContext& context,
                                                        const ChatRequest& chat,
                                                        const RequestId& request_id,
                                                        bool with_text = false);

// The length of that prompt, which does not travel. Errors: the same.
absl::StatusOr<int64_t> CountPromptTokens(GatewayContext& context, const ChatRequest& chat,
                                          const RequestId& request_id);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTES_CHAT_PROMPT_H_
