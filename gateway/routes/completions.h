// POST /v1/completions: text in, text out, no template and no parsers.
#ifndef VALLM_GATEWAY_ROUTES_COMPLETIONS_H_
#define VALLM_GATEWAY_ROUTES_COMPLETIONS_H_

#include "gateway/http_message.h"
#include "gateway/routes/context.h"

namespace vallm::gateway {

HttpResponse Completions(GatewayContext& context, const HttpRequest& request);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTES_COMPLETIONS_H_
