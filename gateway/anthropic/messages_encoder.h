// Events to Anthropic's JSON: message_start … message_stop, or one whole message. Reasoning becomes
// blocks of type thinking (with an empty signature), tool calls blocks of type tool_use.
#ifndef VALLM_GATEWAY_ANTHROPIC_MESSAGES_ENCODER_H_
#define VALLM_GATEWAY_ANTHROPIC_MESSAGES_ENCODER_H_

#include <memory>

#include "gateway/openai/answer_encoder.h"

namespace vallm::gateway {

// REQUIRES for both: one choice, no log-probabilities.
std::unique_ptr<StreamEncoder> NewMessagesStreamEncoder(AnswerHeader header);
std::unique_ptr<WholeEncoder> NewMessagesWholeEncoder(AnswerHeader header);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ANTHROPIC_MESSAGES_ENCODER_H_
