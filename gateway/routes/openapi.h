// GET /openapi.json: the description of this API, gateway/openapi/openapi.json as it was when the
// binary was built.
#ifndef VALLM_GATEWAY_ROUTES_OPENAPI_H_
#define VALLM_GATEWAY_ROUTES_OPENAPI_H_

#include "gateway/http_message.h"
#include "gateway/routes/context.h"

namespace vallm::gateway {

HttpResponse OpenApi(GatewayContext& context, const HttpRequest& request);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTES_OPENAPI_H_
