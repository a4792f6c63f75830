// Errors in OpenAI's shape. Inside the gateway an error is an absl::Status whose payloads name the
// parameter and the machine-readable code; this file is the one table that turns a Status into an
// HTTP status and a body.
#ifndef VALLM_GATEWAY_OPENAI_ERRORS_H_
#define VALLM_GATEWAY_OPENAI_ERRORS_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gateway/http_message.h"

namespace vallm::gateway {

// A 400 that names the offending parameter, e.g. "messages[2].content".
absl::Status InvalidParam(std::string_view param, std::string_view message);
// A parameter that is known but not implemented with that value.
absl::Status UnsupportedParam(std::string_view param, std::string_view message);
// The same status with `code` (and `param` unless empty) in its body.
absl::Status WithErrorCode(absl::Status status, std::string_view code, std::string_view param = "");

// The same status with the time after which it is worth another try in its Retry-After, which is
// 1 s where nothing is known.
absl::Status WithRetryAfter(absl::Status status, std::optional<absl::Duration> wait);

// The same error under the name that another API has for the parameter: if `status` names `from` or
// a member of it, it names `to` instead, also where its message quotes it.
absl::Status WithParamRenamed(absl::Status status, std::string_view from, std::string_view to);

// A request that took services down with it. Its response asks SDKs not to send it again.
absl::Status QuarantinedError(std::string_view message);

// HTTP status of an error; 499 for a client that went away (never seen by it, but logged).
int HttpStatusOf(const absl::Status& status);

// {"error":{"message":…,"type":…,"param":…,"code":…}} on one line.
std::string ErrorBody(const absl::Status& status);

// The whole response, with Retry-After or WWW-Authenticate where the status calls for it.
HttpResponse ErrorResponse(const absl::Status& status);

// The same for errors that HTTP knows and absl does not (404 for a path, 405, 411, 413, …).
HttpResponse HttpErrorResponse(int http_status, std::string_view message);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_OPENAI_ERRORS_H_
