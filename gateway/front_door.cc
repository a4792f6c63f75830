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
#include "gateway/access/rate_headers.h"
#include "gateway/openai/errors.h"
#include "gateway/random_id.h"

namespace vallm::gateway {
namespace {

constexpr char kExposedHeaders[] =
    "x-request-id, x-prompt-tokens, x-max-tokens-effective, x-truncated-prompt-tokens, x-instance, "
    "x-queue-ms, x-ignored-params, x-vallm-class, x-vallm-task, retry-after, "
    "x-ratelimit-limit-requests, "
    "x-ratelimit-remaining-requests, "
    "x-ratelimit-reset-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, "
    "x-ratelimit-reset-tokens, traceparent, tracestate";

// A client's request id is taken over if it is fit for logs, headers and gRPC metadata.
bool IsFitRequestId(const std::string& id) {
  return !id.empty() && id.size() <= 128 && std::all_of(id.begin(), id.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.' || c == ':';
  });
}

const char* MessageFor(int status) {
  switch (status) {
    case 400:
      return "the request is not valid HTTP or its body cannot be read";
    case 408:
      return "the request did not arrive in time";
    case 411:
      return "a POST request needs a Content-Length or chunked Transfer-Encoding";
    case 413:
      return "the request body is too large";
    case 414:
      return "the request target is too long";
    case 415:
      return "the Content-Type or Content-Encoding is not supported; send plain JSON in UTF-8";
    case 429:
      return "there are too many connections from this address";
    case 431:
      return "the header of the request is too large";
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
  if (header->empty()) return true;
  const std::string value = absl::AsciiStrToLower(*header);
  std::string type = value.substr(0, value.find(';'));
  absl::StripAsciiWhitespace(&type);
  const size_t charset = value.find("charset=");
  if (charset != std::string::npos) {
    std::string name = value.substr(charset + 8, value.find(';', charset) - (charset + 8));
    name.erase(
        std::remove_if(name.begin(), name.end(), [](char c) { return c == '"' || c == ' '; }),
        name.end());
    if (name != "utf-8" && name != "utf8" && name != "us-ascii") return false;
  }
  // curl -d sends the form type by default; what counts is that the body is JSON.
  return type == "application/json" || type == "text/plain" ||
         type == "application/x-www-form-urlencoded" || absl::EndsWith(type, "+json");
}

// "Authorization: Bearer KEY", or what Anthropic's SDKs send.
std::optional<std::string> GivenKey(const HttpRequest& request) {
  if (const std::string* header = FindHeader(request.headers, "Authorization")) {
    constexpr size_t kSchemeLength = 7;  // "Bearer "
    if (!absl::StartsWithIgnoreCase(*header, "Bearer ")) return std::nullopt;
    return std::string(absl::StripAsciiWhitespace(header->substr(kSchemeLength)));
  }
  const std::string* header = FindHeader(request.headers, "X-Api-Key");
  return header == nullptr ? std::nullopt : std::optional(*header);
}

const char* NameOf(KeyMeter::Limit limit) {
  switch (limit) {
    case KeyMeter::Limit::kRequests:
      return "requests";
    case KeyMeter::Limit::kTokens:
      return "tokens";
    case KeyMeter::Limit::kConcurrency:
      return "concurrency";
    case KeyMeter::Limit::kNone:
      break;
  }
  return "none";
}

HttpResponse OverLimit(const RingKey& key, const KeyMeter::Decision& decision, absl::Time now) {
  const KeyLimits& limits = key.key.limits;
  std::string what;
  switch (decision.limit) {
    case KeyMeter::Limit::kRequests:
      what = absl::StrCat(limits.requests_per_minute, " requests per minute");
      break;
    case KeyMeter::Limit::kTokens:
      what = absl::StrCat(limits.tokens_per_minute, " tokens per minute");
      break;
    default:
      what = absl::StrCat(limits.max_concurrent_requests, " requests at once");
  }
  HttpResponse response = ErrorResponse(absl::ResourceExhaustedError(
      absl::StrCat("the API key \"", key.key.name, "\" may send ", what, "; try again in ",
                   RetryAfter(decision.retry_after), " s")));
  std::erase_if(response.headers, [](const auto& header) { return header.first == "Retry-After"; });
  response.headers.emplace_back("Retry-After", RetryAfter(decision.retry_after));
  AddRateHeaders(key.meter->rates(now), &response.headers);
  return response;
}

// Whether the value of a Host header names this machine. 127.evil.example does not.
bool NamesLoopback(const std::string& host) {
  const size_t bracket = host.find(']');
  const std::string name =
      bracket != std::string::npos ? host.substr(0, bracket + 1) : host.substr(0, host.find(':'));
  const bool numeric = name.find_first_not_of("0123456789.") == std::string::npos;
  return absl::EqualsIgnoreCase(name, "localhost") || name == "[::1]" ||
         (numeric && absl::StartsWith(name, "127."));
}

void Log(const HttpRequest& request, int status, absl::Duration duration,
         const RequestRecord* record) {
  LOG(INFO) << "request " << request.request_id << " " << request.method << " "
            << absl::CHexEscape(request.path.substr(0, 200)) << " status=" << status
            << " trace=" << request.request_id.trace.trace_id()
            << (request.key == nullptr ? "" : absl::StrCat(" key=", request.key->key().name))
            << (record == nullptr ? "" : record->detail)
            << " total_ms=" << absl::ToInt64Milliseconds(duration);
}

}  // namespace

FrontDoor::FrontDoor(FrontDoorOptions options, std::vector<Route> routes, const KeyRing& keys,
                     GatewayMetrics& metrics, RequestLog* request_log)
    : options_(std::move(options)),
      routes_(std::move(routes)),
      keys_(keys),
      metrics_(metrics),
      request_log_(request_log) {}

FrontDoor::Found FrontDoor::Find(const HttpRequest& request) const {
  const std::string& method = request.method == "HEAD" ? "GET" : request.method;
  Found found;
  for (const Route& route : routes_) {
    if (!Matches(route, request.path)) continue;
    found.path = &route.path;
    if (route.method != method) continue;
    found.route = &route;
    break;
  }
  return found;
}

std::string FrontDoor::MethodsOf(const std::string& path) const {
  std::string methods;
  for (const Route& route : routes_) {
    if (!Matches(route, path)) continue;
    absl::StrAppend(&methods, route.method, route.method == "GET" ? ", HEAD, " : ", ");
  }
  return methods + "OPTIONS";
}

std::optional<HttpResponse> FrontDoor::CheckKey(HttpRequest& request) const {
  const std::optional<std::string> given = GivenKey(request);
  const std::shared_ptr<const RingKey> found = given ? keys_.Find(*given) : nullptr;
  if (found == nullptr) {
    metrics_.CountKeyRefusal("", "invalid");
    return ErrorResponse(absl::UnauthenticatedError(options_.is_management
                                                        ? "a valid admin API key is required"
                                                        : "a valid API key is required"));
  }
  const absl::Time now = absl::Now();
  const ApiKey& key = found->key;
  if (now >= key.expires) {
    metrics_.CountKeyRefusal(key.name, "expired");
    return ErrorResponse(
        absl::UnauthenticatedError(absl::StrCat("the API key \"", key.name, "\" has expired")));
  }
  const KeyMeter::Decision decision = found->meter->Enter(now);
  if (decision.limit != KeyMeter::Limit::kNone) {
    metrics_.CountKeyRefusal(key.name, NameOf(decision.limit));
    return OverLimit(*found, decision, now);
  }
  request.key = std::make_shared<KeyLease>(found);
  metrics_.CountKeyRequest(key.name);
  return std::nullopt;
}

std::optional<HttpResponse> FrontDoor::CheckKeylessChange(const HttpRequest& request) const {
  if (!options_.is_loopback) {
    return ErrorResponse(absl::PermissionDeniedError(
        "calls that change something need a key here: start the gateway with --admin-api-key, or "
        "with --management-host 127.0.0.1"));
  }
  // A page that the operator's browser shows must not be able to make such a call, under whatever
  // name it reaches this port.
  const std::string* host = FindHeader(request.headers, "Host");
  const std::string* origin = FindHeader(request.headers, "Origin");
  const bool same_origin =
      origin == nullptr || (host != nullptr && absl::EndsWith(*origin, absl::StrCat("://", *host)));
  if (host != nullptr && NamesLoopback(*host) && same_origin) return std::nullopt;
  return ErrorResponse(absl::PermissionDeniedError(
      "without --admin-api-key this call is only taken for localhost, and not from other pages"));
}

std::optional<HttpResponse> FrontDoor::Refusal(HttpRequest& request, const Found& found) const {
  const Route* route = found.route;
  if (request.method == "OPTIONS" && found.path != nullptr) return Preflight(request);
  if (found.path == nullptr)
    return HttpErrorResponse(404, absl::StrCat("there is no ", request.path));
  if (route == nullptr) {
    HttpResponse refusal = HttpErrorResponse(
        405, absl::StrCat(request.path, " does not take the method ", request.method));
    refusal.headers.emplace_back("Allow", MethodsOf(request.path));
    return refusal;
  }
  if (request.method == "POST" && !IsJsonLike(request)) {
    return HttpErrorResponse(415, MessageFor(415));
  }
  if (!route->needs_key) return std::nullopt;
  if (keys_.required()) return CheckKey(request);
  const bool changes = route->method != "GET";
  return options_.is_management && changes ? CheckKeylessChange(request) : std::nullopt;
}

std::optional<HttpResponse> FrontDoor::Screen(HttpRequest& request) {
  const std::string* given_id = FindHeader(request.headers, "X-Request-Id");
  request.request_id = given_id != nullptr && IsFitRequestId(*given_id) ? *given_id : NewId("req-");
  request.request_id.trace = ContinueTrace(request.headers);
  const Found found = Find(request);
  std::optional<HttpResponse> refusal = Refusal(request, found);
  if (!refusal) {
    if (request_log_ != nullptr && request.method == "POST") {
      request.trace = request_log_->Begin(
          request.request_id, request.path,
          request.key == nullptr ? std::string() : request.key->key().name, absl::Now());
    }
    return std::nullopt;
  }
  AddCommonHeaders(request, &*refusal);
  Log(request, refusal->status, absl::ZeroDuration(), nullptr);
  // The path of the route, never the client's: it could name as many series as it likes.
  metrics_.CountHttpRequest(found.path != nullptr ? *found.path : "unknown", request.method,
                            refusal->status, absl::ZeroDuration());
  return refusal;
}

HttpResponse FrontDoor::Handle(const HttpRequest& request) {
  const absl::Time start = absl::Now();
  const Route& route = *Find(request).route;
  if (options_.log_bodies && !request.body.empty()) {
    LOG(INFO) << "request " << request.request_id << " body: " << absl::CHexEscape(request.body);
  }
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
    if (done.trace != nullptr) done.trace->End(status);
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
  head.key = request.key;
  head.trace = request.trace;
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
  response.headers = {{"Access-Control-Allow-Methods", MethodsOf(request.path)},
                      {"Access-Control-Max-Age", "600"}};
  const std::string* wanted = FindHeader(request.headers, "Access-Control-Request-Headers");
  response.headers.emplace_back("Access-Control-Allow-Headers",
                                wanted != nullptr ? *wanted : "Authorization, Content-Type");
  return response;
}

void FrontDoor::AddCommonHeaders(const HttpRequest& request, HttpResponse* response) const {
  HttpHeaders& headers = response->headers;
  headers.emplace_back("X-Request-Id", request.request_id.id);
  headers.emplace_back("traceparent", request.request_id.trace.traceparent);
  if (!request.request_id.trace.tracestate.empty()) {
    headers.emplace_back("tracestate", request.request_id.trace.tracestate);
  }
  if (request.key != nullptr) AddRateHeaders(request.key->meter().rates(absl::Now()), &headers);
  if (options_.allowed_origins.empty()) return;
  const std::vector<std::string>& allowed = options_.allowed_origins;
  const bool any = std::find(allowed.begin(), allowed.end(), "*") != allowed.end();
  if (!any) headers.emplace_back("Vary", "Origin");
  const std::string* origin = FindHeader(request.headers, "Origin");
  if (origin == nullptr) return;
  if (!any && std::find(allowed.begin(), allowed.end(), *origin) == allowed.end()) return;
  headers.emplace_back("Access-Control-Allow-Origin", any ? "*" : *origin);
  headers.emplace_back("Access-Control-Expose-Headers", kExposedHeaders);
}

}  // namespace vallm::gateway
