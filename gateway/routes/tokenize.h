// POST /tokenize and POST /detokenize, in vLLM's shapes.
#ifndef VALLM_GATEWAY_ROUTES_TOKENIZE_H_
#define VALLM_GATEWAY_ROUTES_TOKENIZE_H_

#include "gateway/http_message.h"
#include "gateway/routes/context.h"

namespace vallm::gateway {

HttpResponse Tokenize(GatewayContext& context, const HttpRequest& request);
// GET /tokenizer_info
HttpResponse DescribeTokenizer(GatewayContext& context, const HttpRequest& request);
HttpResponse Detokenize(GatewayContext& context, const HttpRequest& request);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTES_TOKENIZE_H_
