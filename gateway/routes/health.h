// Probes: live (the process answers), ready (a request would be served), version.
#ifndef VALLM_GATEWAY_ROUTES_HEALTH_H_
#define VALLM_GATEWAY_ROUTES_HEALTH_H_

#include "gateway/http_message.h"
#include "gateway/routes/context.h"

namespace vallm::gateway {

// 200 while the process runs.
HttpResponse Live(GatewayContext& context, const HttpRequest& request);
// 200 when the tokenizer answers and an engine instance serves, and not while draining; else 503.
HttpResponse Ready(GatewayContext& context, const HttpRequest& request);
// GET /load: the number of requests that generate or wait, in vLLM's shape.
HttpResponse ServerLoad(GatewayContext& context, const HttpRequest& request);
HttpResponse Version(GatewayContext& context, const HttpRequest& request);
// GET /metrics: Prometheus text.
HttpResponse Metrics(GatewayContext& context, const HttpRequest& request);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTES_HEALTH_H_
