// POST /v1/chat/completions.
#ifndef VALLM_GATEWAY_ROUTES_CHAT_COMPLETIONS_H_
#define VALLM_GATEWAY_ROUTES_CHAT_COMPLETIONS_H_

#include "gateway/http_message.h"
#include "gateway/routes/context.h"

namespace vallm::gateway {

HttpResponse ChatCompletions(GatewayContext& context, const HttpRequest& request);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTES_CHAT_COMPLETIONS_H_
