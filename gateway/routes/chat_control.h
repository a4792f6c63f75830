// POST /v1/chat/completions/{id}/control: tells an answer that is being streamed what to do.
#ifndef VALLM_GATEWAY_ROUTES_CHAT_CONTROL_H_
#define VALLM_GATEWAY_ROUTES_CHAT_CONTROL_H_

#include "gateway/http_message.h"
#include "gateway/routes/context.h"

namespace vallm::gateway {

// Serves everything below /v1/chat/completions/.
HttpResponse ChatControl(GatewayContext& context, const HttpRequest& request);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTES_CHAT_CONTROL_H_
