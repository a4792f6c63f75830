// GET / of the management port: the instances and the queue on one page that reloads itself.
#ifndef VALLM_GATEWAY_ROUTES_STATUS_PAGE_H_
#define VALLM_GATEWAY_ROUTES_STATUS_PAGE_H_

#include "gateway/http_message.h"
#include "gateway/routes/context.h"

namespace vallm::gateway {

HttpResponse StatusPage(GatewayContext& context, const HttpRequest& request);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTES_STATUS_PAGE_H_
