// The body of POST /v1/messages as a chat request: what Anthropic's SDKs send, checked under
// Anthropic's names and then read as if it had come to /v1/chat/completions. Members that the
// Messages API does not have (seed, chat_template_kwargs, priority, …) mean what they mean there.
//
// Pure functions.
#ifndef VALLM_GATEWAY_ANTHROPIC_MESSAGES_REQUEST_H_
#define VALLM_GATEWAY_ANTHROPIC_MESSAGES_REQUEST_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "gateway/openai/chat_request.h"

namespace vallm::gateway {

// A last message of role assistant is continued. Errors: INVALID_ARGUMENT naming the field, e.g.
// messages[1].content[0].type.
absl::StatusOr<ChatRequest> ParseMessagesRequest(std::string_view body,
                                                 const ChatRequestRules& rules);

// The same for POST /v1/messages/count_tokens, where max_tokens may be absent.
absl::StatusOr<ChatRequest> ParseCountTokensRequest(std::string_view body,
                                                    const ChatRequestRules& rules);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ANTHROPIC_MESSAGES_REQUEST_H_
