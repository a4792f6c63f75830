// OpenAI's Responses API.
#ifndef VALLM_GATEWAY_ROUTES_RESPONSES_H_
#define VALLM_GATEWAY_ROUTES_RESPONSES_H_

#include "gateway/http_message.h"
#include "gateway/routes/context.h"

namespace vallm::gateway {

// POST /v1/responses
HttpResponse CreateResponse(GatewayContext& context, const HttpRequest& request);
// GET /v1/responses/{id} and /v1/responses/{id}/input_items
HttpResponse GetResponse(GatewayContext& context, const HttpRequest& request);
// DELETE /v1/responses/{id}
HttpResponse DeleteResponse(GatewayContext& context, const HttpRequest& request);
// POST /v1/responses/{id}/cancel: refused, as there are no responses in the background.
HttpResponse CancelResponse(GatewayContext& context, const HttpRequest& request);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTES_RESPONSES_H_
