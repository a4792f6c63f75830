// A small HTTP client for the commands: one request at a time, whole bodies or streamed ones. The
// only file that knows the HTTP library is http_client.cc.
#ifndef VALLM_TOOLS_HTTP_HTTP_CLIENT_H_
#define VALLM_TOOLS_HTTP_HTTP_CLIENT_H_

#include <functional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace vallm::tools {

// "http://host:port/base" taken apart.
struct Url {
  std::string origin;  // "http://host:port"
  std::string path;    // "/base", or "" ; no slash at its end
};

// Errors: INVALID_ARGUMENT when it is not an http:// or https:// URL with a host.
absl::StatusOr<Url> ParseUrl(std::string_view url);

struct HttpRequest {
  std::string method = "GET";  // or "POST"
  std::string origin;          // "http://host:port"
  std::string path;            // "/v1/models"
  std::string bearer_token;    // empty: no Authorization header
  std::string body;            // JSON
  // Limits of connecting and of the wait between two pieces of the answer.
  absl::Duration connect_timeout = absl::Seconds(5);
  absl::Duration read_timeout = absl::Minutes(10);
};

struct HttpReply {
  int status = 0;
  std::string body;  // empty where it went to the receiver
};

// Sends `request`. With a `receiver`, the body of a 200 goes to it piece by piece; it returns false
// to break off, which is not an error. Thread-safe.
// Errors: UNAVAILABLE when there is no connection or it breaks, DEADLINE_EXCEEDED after a time-out,
// UNIMPLEMENTED for https. An HTTP error status is a reply, not an error.
absl::StatusOr<HttpReply> SendHttp(const HttpRequest& request,
                                   const std::function<bool(std::string_view)>& receiver = nullptr);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_HTTP_HTTP_CLIENT_H_
