// The tools of a request of the Responses API, as those of a chat. Pure.
#ifndef VALLM_GATEWAY_RESPONSES_RESPONSES_TOOLS_H_
#define VALLM_GATEWAY_RESPONSES_RESPONSES_TOOLS_H_

#include <nlohmann/json_fwd.hpp>

#include "absl/status/status.h"
#include "gateway/openai/json_object.h"

namespace vallm::gateway {

// Reads `tools` and `tool_choice` of `body` and sets those of `chat`. With a tool_choice of type
// allowed_tools the others are left out. Errors: INVALID_ARGUMENT naming the field, for tools that
// the server would have to run as well.
absl::Status ReadResponsesTools(JsonObject& body, nlohmann::ordered_json* chat);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_RESPONSES_RESPONSES_TOOLS_H_
