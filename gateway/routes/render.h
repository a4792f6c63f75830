// What a chat looks like to the model, without generating anything.
#ifndef VALLM_GATEWAY_ROUTES_RENDER_H_
#define VALLM_GATEWAY_ROUTES_RENDER_H_

#include "gateway/http_message.h"
#include "gateway/routes/context.h"

namespace vallm::gateway {

// POST /apply-template and POST /v1/chat/completions/render take the body of a chat and answer with
// the prompt as text and as token ids, and whether it ends inside of a thought.
HttpResponse ApplyTemplate(GatewayContext& context, const HttpRequest& request);

// POST /v1/chat/completions/input_tokens takes the same and answers with the number of tokens.
HttpResponse CountInputTokens(GatewayContext& context, const HttpRequest& request);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTES_RENDER_H_
