// Errors in Anthropic's shape: {"type":"error","error":{"type":…,"message":…}}.
#ifndef VALLM_GATEWAY_ANTHROPIC_ERRORS_H_
#define VALLM_GATEWAY_ANTHROPIC_ERRORS_H_

#include <string>

#include "absl/status/status.h"
#include "gateway/http_message.h"

namespace vallm::gateway {

std::string MessagesErrorBody(const absl::Status& status);

// Status and headers are those of ErrorResponse (openai/errors.h): the one table of both APIs.
HttpResponse MessagesErrorResponse(const absl::Status& status);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ANTHROPIC_ERRORS_H_
