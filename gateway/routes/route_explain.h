// /v1/route/explain: where a request would go and why, without sending it.
#ifndef VALLM_GATEWAY_ROUTES_ROUTE_EXPLAIN_H_
#define VALLM_GATEWAY_ROUTES_ROUTE_EXPLAIN_H_

#include "gateway/http_message.h"
#include "gateway/routes/context.h"

namespace vallm::gateway {

// POST with the body (and headers) of a chat.
HttpResponse ExplainRoute(GatewayContext& context, const HttpRequest& request);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTES_ROUTE_EXPLAIN_H_
