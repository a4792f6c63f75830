// Where a request belongs in the line and to whom: its class (chats, or the background that nobody
// waits for) and its session.
#ifndef VALLM_GATEWAY_ROUTES_REQUEST_CLASS_H_
#define VALLM_GATEWAY_ROUTES_REQUEST_CLASS_H_

#include "absl/status/status.h"
#include "gateway/generation/generation.h"
#include "gateway/http_message.h"
#include "gateway/openai/chat_request.h"
#include "gateway/openai/generation_params.h"
#include "gateway/routes/context.h"

namespace vallm::gateway {

// Sets the class that the header x-vallm-class names ("background" or "interactive").
// Errors: INVALID_ARGUMENT naming the header.
absl::Status SetClass(const HttpRequest& request, GenerationParams* params);

// The same, or the class of the task that the conversation is. A background chat does not think
// unless it says itself whether it does. Call before the prompt is rendered.
absl::Status SetClass(const GatewayContext& context, const HttpRequest& request, ChatRequest* chat);

// What follows of it for the slot: class, priority and session (the header x-session-id, or the
// parameter prompt_cache_key).
void FillPlacement(const HttpRequest& request, const GenerationParams& params,
                   GenerationSpec* spec);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTES_REQUEST_CLASS_H_
