// POST /parse: what an answer is taken apart into, without generating one; for looking into
// parsers.
#ifndef VALLM_GATEWAY_ROUTES_PARSE_H_
#define VALLM_GATEWAY_ROUTES_PARSE_H_

#include "gateway/http_message.h"
#include "gateway/routes/context.h"

namespace vallm::gateway {

// The body has `text` or `tokens`, and may have `tools`, `reasoning_parser` and `tool_call_parser`
// (the server's by default; "" for none), `think_state` (none, open, closed or unaware: where the
// prompt ended), `stop`, `include_stop_str_in_output`, `skip_special_tokens`,
// `parallel_tool_calls` and `finish_reason` (stop or length). The answer has the message as a chat
// would have it, and its finish reason.
HttpResponse ParseOutput(GatewayContext& context, const HttpRequest& request);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTES_PARSE_H_
