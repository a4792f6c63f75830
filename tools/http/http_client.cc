#include "tools/http/http_client.h"

#include <httplib.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/strings.h"

namespace vallm::tools {
namespace {

absl::Status Failure(httplib::Error error, const std::string& origin) {
  const std::string message = absl::StrCat(origin, ": ", httplib::to_string(error));
  switch (error) {
    case httplib::Error::ConnectionTimeout:
    case httplib::Error::Timeout:
      return absl::DeadlineExceededError(message);
    default:
      return absl::UnavailableError(message);
  }
}

}  // namespace

absl::StatusOr<Url> ParseUrl(std::string_view url) {
  const size_t scheme_end = url.find("://");
  const std::string_view scheme = url.substr(0, scheme_end);
  if (scheme_end == std::string_view::npos || (scheme != "http" && scheme != "https")) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", ToAbsl(url), "' is not a URL; write it like http://127.0.0.1:8000/v1"));
  }
  const size_t path_begin = std::min(url.find('/', scheme_end + 3), url.size());
  if (path_begin == scheme_end + 3) {
    return absl::InvalidArgumentError(absl::StrCat("URL '", ToAbsl(url), "' has no host"));
  }
  Url parsed{.origin = std::string(url.substr(0, path_begin)),
             .path = std::string(url.substr(path_begin))};
  while (!parsed.path.empty() && parsed.path.back() == '/') parsed.path.pop_back();
  return parsed;
}

absl::StatusOr<HttpReply> SendHttp(const HttpRequest& request,
                                   const std::function<bool(std::string_view)>& receiver) {
  if (request.origin.rfind("https:", 0) == 0) {
    return absl::UnimplementedError(
        absl::StrCat(request.origin, ": TLS is not built in; use an http:// address"));
  }
  httplib::Client client(request.origin);
  if (!client.is_valid()) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", request.origin, "' is not an address; use http://host:port"));
  }
  client.set_connection_timeout(absl::ToChronoMicroseconds(request.connect_timeout));
  client.set_read_timeout(absl::ToChronoMicroseconds(request.read_timeout));
  client.set_tcp_nodelay(true);
  if (!request.bearer_token.empty()) client.set_bearer_token_auth(request.bearer_token);

  httplib::Request raw;
  raw.method = request.method;
  raw.path = request.path;
  if (!request.body.empty()) {
    raw.body = request.body;
    raw.set_header("Content-Type", "application/json");
  }
  HttpReply reply;
  bool broken_off = false;
  raw.response_handler = [&](const httplib::Response& response) {
    reply.status = response.status;
    return true;
  };
  raw.content_receiver = [&](const char* data, size_t size, size_t, size_t) {
    if (receiver == nullptr || reply.status != 200) {
      reply.body.append(data, size);
      return true;
    }
    broken_off = !receiver(std::string_view(data, size));
    return !broken_off;
  };
  const httplib::Result result = client.send(raw);
  if (!result && !broken_off) return Failure(result.error(), request.origin);
  return reply;
}

}  // namespace vallm::tools
