#include "gateway/anthropic/errors.h"

#include "common/strings.h"
#include "gateway/openai/errors.h"
#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

const char* TypeOf(int http_status) {
  switch (http_status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
      return "overloaded_error";
    case 504:
      return "timeout_error";
    default:
      return http_status < 500 ? "invalid_request_error" : "api_error";
  }
}

}  // namespace

std::string MessagesErrorBody(const absl::Status& status) {
  using Json = nlohmann::ordered_json;
  const Json body = {
      {"type", "error"},
      {"error", {{"type", TypeOf(HttpStatusOf(status))}, {"message", ToStd(status.message())}}}};
  // A message may quote bytes of the client's that are not UTF-8.
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

HttpResponse MessagesErrorResponse(const absl::Status& status) {
  HttpResponse response = ErrorResponse(status);
  response.body = MessagesErrorBody(status);
  return response;
}

}  // namespace vallm::gateway
