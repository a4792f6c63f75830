// POST /v1/messages and /v1/messages/count_tokens, Anthropic's Messages API.
#ifndef VALLM_GATEWAY_ROUTES_MESSAGES_H_
#define VALLM_GATEWAY_ROUTES_MESSAGES_H_

#include "gateway/http_message.h"
#include "gateway/routes/context.h"

namespace vallm::gateway {

HttpResponse Messages(GatewayContext& context, const HttpRequest& request);
HttpResponse CountMessageTokens(GatewayContext& context, const HttpRequest& request);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTES_MESSAGES_H_
