#include "gateway/openai/errors.h"

#include <algorithm>
#include <array>
#include <optional>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/strings.h"
#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

constexpr char kParamPayload[] = "vallm/param";
constexpr char kCodePayload[] = "vallm/code";
constexpr char kRetryAfterPayload[] = "vallm/retry-after";  // in seconds
constexpr char kQuarantinedCode[] = "request_quarantined";

struct Row {
  absl::StatusCode status;
  int http;
  const char* type;
  const char* code;  // unless the status carries one
};

constexpr std::array kTable = {
    Row{absl::StatusCode::kInvalidArgument, 400, "invalid_request_error", nullptr},
    Row{absl::StatusCode::kOutOfRange, 400, "invalid_request_error", nullptr},
    Row{absl::StatusCode::kFailedPrecondition, 400, "invalid_request_error", nullptr},
    Row{absl::StatusCode::kUnauthenticated, 401, "invalid_request_error", "invalid_api_key"},
    Row{absl::StatusCode::kPermissionDenied, 403, "invalid_request_error", "permission_denied"},
    Row{absl::StatusCode::kNotFound, 404, "invalid_request_error", "not_found"},
    Row{absl::StatusCode::kAlreadyExists, 409, "invalid_request_error", "already_exists"},
    Row{absl::StatusCode::kResourceExhausted, 429, "rate_limit_error", "rate_limit_exceeded"},
    Row{absl::StatusCode::kCancelled, 499, "invalid_request_error", "client_closed_request"},
    Row{absl::StatusCode::kUnimplemented, 501, "server_error", "not_implemented"},
    Row{absl::StatusCode::kUnavailable, 503, "server_error", "service_unavailable"},
    Row{absl::StatusCode::kDeadlineExceeded, 504, "server_error", "timeout"},
};
constexpr Row kInternal = {absl::StatusCode::kInternal, 500, "server_error", "internal_error"};

const Row& RowOf(const absl::Status& status) {
  for (const Row& row : kTable) {
    if (row.status == status.code()) return row;
  }
  return kInternal;
}

nlohmann::json PayloadOr(const absl::Status& status, const char* url, const char* fallback) {
  if (const absl::optional<absl::Cord> payload = status.GetPayload(url)) {
    return std::string(*payload);
  }
  return fallback == nullptr ? nlohmann::json(nullptr) : nlohmann::json(fallback);
}

std::string Body(std::string_view message, const nlohmann::json& type, const nlohmann::json& param,
                 const nlohmann::json& code) {
  nlohmann::ordered_json error = {
      {"message", message}, {"type", type}, {"param", param}, {"code", code}};
  const nlohmann::ordered_json body = {{"error", std::move(error)}};
  // A message may quote bytes of the client's that are not UTF-8.
  return body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace

absl::Status WithErrorCode(absl::Status status, std::string_view code, std::string_view param) {
  status.SetPayload(kCodePayload, absl::Cord(ToAbsl(code)));
  if (!param.empty()) status.SetPayload(kParamPayload, absl::Cord(ToAbsl(param)));
  return status;
}

absl::Status WithRetryAfter(absl::Status status, std::optional<absl::Duration> wait) {
  if (!wait.has_value()) return status;
  const int64_t seconds = absl::ToInt64Seconds(absl::Ceil(*wait, absl::Seconds(1)));
  status.SetPayload(kRetryAfterPayload, absl::Cord(absl::StrCat(std::max<int64_t>(seconds, 1))));
  return status;
}

absl::Status InvalidParam(std::string_view param, std::string_view message) {
  absl::Status status = absl::InvalidArgumentError(ToAbsl(message));
  status.SetPayload(kParamPayload, absl::Cord(ToAbsl(param)));
  return status;
}

absl::Status UnsupportedParam(std::string_view param, std::string_view message) {
  return WithErrorCode(absl::InvalidArgumentError(ToAbsl(message)), "unsupported_parameter", param);
}

absl::Status WithParamRenamed(absl::Status status, std::string_view from, std::string_view to) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kParamPayload);
  if (!payload.has_value()) return status;
  const std::string param(*payload);
  if (param != from && !absl::StartsWith(param, absl::StrCat(ToAbsl(from), "."))) return status;
  const std::string renamed = absl::StrCat(ToAbsl(to), param.substr(from.size()));
  absl::Status result(status.code(),
                      absl::StrReplaceAll(status.message(), {{absl::StrCat("'", param, "'"),
                                                              absl::StrCat("'", renamed, "'")}}));
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& value) {
    result.SetPayload(url, url == kParamPayload ? absl::Cord(renamed) : value);
  });
  return result;
}

absl::Status QuarantinedError(std::string_view message) {
  return WithErrorCode(absl::InternalError(ToAbsl(message)), kQuarantinedCode);
}

int HttpStatusOf(const absl::Status& status) { return status.ok() ? 200 : RowOf(status).http; }

std::string ErrorBody(const absl::Status& status) {
  const Row& row = RowOf(status);
  return Body(ToStd(status.message()), row.type, PayloadOr(status, kParamPayload, nullptr),
              PayloadOr(status, kCodePayload, row.code));
}

HttpResponse ErrorResponse(const absl::Status& status) {
  HttpResponse response;
  response.status = HttpStatusOf(status);
  response.body = ErrorBody(status);
  if (response.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  if (response.status == 429 || response.status == 503) {
    response.headers.emplace_back(
        "Retry-After",
        std::string(status.GetPayload(kRetryAfterPayload).value_or(absl::Cord("1"))));
  }
  // OpenAI's SDKs try a 500 again unless told not to.
  if (status.GetPayload(kCodePayload) == absl::Cord(kQuarantinedCode)) {
    response.headers.emplace_back("X-Should-Retry", "false");
  }
  return response;
}

HttpResponse HttpErrorResponse(int http_status, std::string_view message) {
  HttpResponse response;
  response.status = http_status;
  response.body =
      Body(message, http_status < 500 ? "invalid_request_error" : "server_error", nullptr, nullptr);
  return response;
}

}  // namespace vallm::gateway
