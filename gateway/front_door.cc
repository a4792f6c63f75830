#include "gateway/front_door.h"

#include <glog/logging.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/strings.h"
#include "gateway/openai/errors.h"
#include "gateway/random_id.h"

namespace vallm::gateway {
namespace {

constexpr char kExposedHeaders[] =
    "x-request-id, x-prompt-tokens, x-max-tokens-effective, x-instance, x-queue-ms, "
    "x-ignored-params, retry-after";

// A client's request id is taken over if it is fit for logs, headers and gRPC metadata.
bool IsFitRequestId(const std::string& id) {
  return !id.empty() && id.size() <= 128 && std::all_of(id.begin(), id.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.' || c == ':';
  });
}

// Takes the same time wherever the two differ.
bool ConstantTimeEquals(const std::string& a, const std::string& b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < a.size(); ++i) {
    difference |= static_cast<unsigned char>(a[i]) ^
                  static_cast<unsigned char>(b.empty() ? 0 : b[i % b.size()]);
  }
  return difference == 0;
}

const char* MessageFor(int status) {
  switch (status) {
    case 400:
      return "the request is not valid HTTP or its body cannot be read";
    case 411:
      return "a POST request needs a Content-Length or chunked Transfer-Encoding";
    case 413:
      return "the request body is too large";
    case 414:
      return "the request target is too long";
    case 415:
      return "the Content-Type or Content-Encoding is not supported; send plain JSON";
    case 501:
      return "the Transfer-Encoding is not supported; send chunked or a Content-Length";
    case 503:
      return "the server has no room for another connection";
    default:
      return status < 500 ? "the request was refused" : "internal error";
  }
}

bool Matches(const Route& route, const std::string& path) {
  const bool tree = route.path.size() > 1 && route.path.back() == '/';
  return tree ? absl::StartsWith(path, route.path) : path == route.path;
}

bool IsJsonLike(const HttpRequest& request) {
  const std::string* header = FindHeader(request.headers, "Content-Type");
  if (header == nullptr) return true;
  std::string type = absl::AsciiStrToLower(header->substr(0, header->find(';')));
  absl::StripAsciiWhitespace(&type);
  // curl -d sends the form type by default; what counts is that the body is JSON.
  return type.empty() || type == "application/json" || type == "text/plain" ||
         type == "application/x-www-form-urlencoded" || absl::EndsWith(type, "+json");
}

void Log(const HttpRequest& request, int status, absl::Duration duration,
         const RequestRecord* record) {
  LOG(INFO) << "request " << request.request_id << " " << request.method << " "
            << absl::CHexEscape(request.path.substr(0, 200)) << " status=" << status
            << (record == nullptr ? "" : record->detail)
            << " total_ms=" << absl::ToInt64Milliseconds(duration);
}

}  // namespace

FrontDoor::FrontDoor(FrontDoorOptions options, std::vector<Route> routes, GatewayMetrics& metrics)
    : options_(std::move(options)), routes_(std::move(routes)), metrics_(metrics) {}

const Route* FrontDoor::Find(const HttpRequest& request, bool* path_exists) const {
  const std::string& method = request.method == "HEAD" ? "GET" : request.method;
  for (const Route& route : routes_) {
    if (!Matches(route, request.path)) continue;
    *path_exists = true;
    if (route.method == method) return &route;
  }
  return nullptr;
}

std::string FrontDoor::MethodsOf(const std::string& path) const {
  std::string methods;
  for (const Route& route : routes_) {
    if (!Matches(route, path)) continue;
    absl::StrAppend(&methods, route.method, route.method == "GET" ? ", HEAD, " : ", ");
  }
  return methods + "OPTIONS";
}

bool FrontDoor::KeyIsValid(const HttpRequest& request) const {
  if (options_.api_keys.empty()) return true;
  const std::string* header = FindHeader(request.headers, "Authorization");
  constexpr size_t kSchemeLength = 7;  // "Bearer "
  if (header == nullptr || !absl::StartsWithIgnoreCase(*header, "Bearer ")) return false;
  const std::string given = header->substr(kSchemeLength);
  bool valid = false;
  for (const std::string& key : options_.api_keys) valid |= ConstantTimeEquals(given, key);
  return valid;
}

std::optional<HttpResponse> FrontDoor::Screen(HttpRequest& request) {
  const std::string* given_id = FindHeader(request.headers, "X-Request-Id");
  request.request_id = given_id != nullptr && IsFitRequestId(*given_id) ? *given_id : NewId("req-");
  bool path_exists = false;
  const Route* route = Find(request, &path_exists);
  HttpResponse refusal;
  if (request.method == "OPTIONS" && path_exists) {
    refusal = Preflight(request);
  } else if (!path_exists) {
    refusal = HttpErrorResponse(404, absl::StrCat("there is no ", request.path));
  } else if (route == nullptr) {
    refusal = HttpErrorResponse(
        405, absl::StrCat(request.path, " does not take the method ", request.method));
    refusal.headers.emplace_back("Allow", MethodsOf(request.path));
  } else if (route->needs_key && !KeyIsValid(request)) {
    refusal = ErrorResponse(absl::UnauthenticatedError("a valid API key is required"));
  } else if (request.method == "POST" && !IsJsonLike(request)) {
    refusal = HttpErrorResponse(415, MessageFor(415));
  } else {
    return std::nullopt;
  }
  AddCommonHeaders(request, &refusal);
  Log(request, refusal.status, absl::ZeroDuration(), nullptr);
  metrics_.CountHttpRequest(path_exists ? request.path : "unknown", request.method, refusal.status,
                            absl::ZeroDuration());
  return refusal;
}

HttpResponse FrontDoor::Handle(const HttpRequest& request) {
  const absl::Time start = absl::Now();
  bool path_exists = false;
  const Route& route = *Find(request, &path_exists);
  HttpResponse response;
  try {
    response = route.handler(request);
  } catch (const std::exception& e) {  // a library's: our own code throws nothing
    LOG(ERROR) << "request " << request.request_id << ": exception: " << e.what();
    response = ErrorResponse(absl::InternalError("internal error"));
  }
  AddCommonHeaders(request, &response);

  auto finished = [this, start, &route](const HttpRequest& done, int status,
                                        const RequestRecord* record) {
    if (record != nullptr && record->status != 0) status = record->status;
    const absl::Duration duration = absl::Now() - start;
    metrics_.CountHttpRequest(route.path, done.method, status, duration);
    if (!route.quiet) Log(done, status, duration, record);
  };
  if (!response.stream) {
    finished(request, response.status, response.record.get());
    return response;
  }
  // A copy without the body: the conversation need not be kept while the answer streams.
  HttpRequest head;
  head.method = request.method;
  head.path = request.path;
  head.request_id = request.request_id;
  response.stream = [finished, head, status = response.status, record = response.record,
                     stream = std::move(response.stream)](BodySink& sink) {
    stream(sink);
    finished(head, status, record.get());
  };
  return response;
}

HttpResponse FrontDoor::Malformed(int status) {
  HttpResponse response = HttpErrorResponse(status, MessageFor(status));
  response.headers.emplace_back("X-Request-Id", NewId("req-"));
  return response;
}

HttpResponse FrontDoor::Preflight(const HttpRequest& request) const {
  HttpResponse response;
  response.status = 204;
  response.headers = {{"Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS"},
                      {"Access-Control-Max-Age", "600"}};
  const std::string* wanted = FindHeader(request.headers, "Access-Control-Request-Headers");
  response.headers.emplace_back("Access-Control-Allow-Headers",
                                wanted != nullptr ? *wanted : "Authorization, Content-Type");
  return response;
}

void FrontDoor::AddCommonHeaders(const HttpRequest& request, HttpResponse* response) const {
  HttpHeaders& headers = response->headers;
  headers.emplace_back("X-Request-Id", request.request_id);
  const std::string* origin = FindHeader(request.headers, "Origin");
  if (origin == nullptr) return;
  for (const std::string& allowed : options_.allowed_origins) {
    if (allowed != "*" && allowed != *origin) continue;
    headers.emplace_back("Access-Control-Allow-Origin", allowed);
    headers.emplace_back("Access-Control-Expose-Headers", kExposedHeaders);
    if (allowed != "*") headers.emplace_back("Vary", "Origin");
    return;
  }
}

}  // namespace vallm::gateway
