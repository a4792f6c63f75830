// GET /v1/models and GET /v1/models/{id}, with vLLM's max_model_len and root.
#ifndef VALLM_GATEWAY_ROUTES_MODELS_H_
#define VALLM_GATEWAY_ROUTES_MODELS_H_

#include "gateway/http_message.h"
#include "gateway/routes/context.h"

namespace vallm::gateway {

HttpResponse ListModels(GatewayContext& context, const HttpRequest& request);
HttpResponse GetModel(GatewayContext& context, const HttpRequest& request);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTES_MODELS_H_
