// Checks the conversation and the tools of a chat request, field by field. The values themselves
// stay as the client wrote them: the chat template sees them.
#ifndef VALLM_GATEWAY_OPENAI_CHAT_MESSAGES_H_
#define VALLM_GATEWAY_OPENAI_CHAT_MESSAGES_H_

#include <nlohmann/json_fwd.hpp>

#include "absl/status/status.h"

namespace vallm::gateway {

// Makes role "developer" "system", and `reasoning` `reasoning_content` where the latter is absent.
// Errors: INVALID_ARGUMENT naming the field.
absl::Status CheckAndNormalizeMessages(nlohmann::ordered_json* messages);

// Errors: INVALID_ARGUMENT naming the field.
absl::Status CheckTools(const nlohmann::ordered_json& tools);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_OPENAI_CHAT_MESSAGES_H_
