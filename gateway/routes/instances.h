// The engine instances as JSON, and what an operator may do with them: the management port's
// /instances. Errors have OpenAI's shape.
#ifndef VALLM_GATEWAY_ROUTES_INSTANCES_H_
#define VALLM_GATEWAY_ROUTES_INSTANCES_H_

#include "gateway/http_message.h"
#include "gateway/routes/context.h"

namespace vallm::gateway {

// GET /instances: all of them, the queue and the policy.
HttpResponse ListInstances(GatewayContext& context, const HttpRequest& request);
// POST /instances {"address": "host:port"}: 201 and the new one.
HttpResponse AddInstance(GatewayContext& context, const HttpRequest& request);
// GET /instances/{id}.
HttpResponse GetInstance(GatewayContext& context, const HttpRequest& request);
// DELETE /instances/{id}: drains it, and forgets it when it has nothing to do any more.
HttpResponse RemoveInstance(GatewayContext& context, const HttpRequest& request);
// POST /instances/{id}/drain and /instances/{id}/enable.
HttpResponse ControlInstance(GatewayContext& context, const HttpRequest& request);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTES_INSTANCES_H_
