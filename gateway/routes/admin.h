// The management port: the admin page and the JSON it draws. docs/admin.md.
#ifndef VALLM_GATEWAY_ROUTES_ADMIN_H_
#define VALLM_GATEWAY_ROUTES_ADMIN_H_

#include "gateway/routes/context.h"

namespace vallm::gateway {

// GET /: one page without any data in it, so that it needs no key.
HttpResponse AdminPage(GatewayContext& context, const HttpRequest& request);

// GET /api/v1/overview
HttpResponse AdminOverview(GatewayContext& context, const HttpRequest& request);
// GET /api/v1/history?from=UNIX_SECONDS&step=SECONDS
HttpResponse AdminHistory(GatewayContext& context, const HttpRequest& request);
// GET /api/v1/requests?limit=COUNT
HttpResponse AdminRequests(GatewayContext& context, const HttpRequest& request);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTES_ADMIN_H_
