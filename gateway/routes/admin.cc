#include "gateway/routes/admin.h"

#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "common/version.h"
#include "gateway/admin/json.h"
#include "gateway/admin/page.h"
#include "gateway/openai/errors.h"

namespace vallm::gateway {
namespace {

constexpr int64_t kMaxEntries = 500;  // as many as the log keeps
constexpr int64_t kMaxStepSeconds = 600;

// Errors: INVALID_ARGUMENT unless the parameter is absent or a number within the bounds.
absl::StatusOr<int64_t> QueryNumber(const HttpRequest& request, const char* name, int64_t min,
                                    int64_t max, int64_t otherwise) {
  const std::string* text = FindQuery(request.query, name);
  if (text == nullptr) return otherwise;
  int64_t number = 0;
  if (!absl::SimpleAtoi(*text, &number) || number < min || number > max) {
    return InvalidParam(name,
                        absl::StrCat("'", name, "' must be an integer from ", min, " to ", max));
  }
  return number;
}

HttpResponse JsonResponse(absl::StatusOr<std::string> body) {
  if (!body.ok()) return ErrorResponse(body.status());
  HttpResponse response;
  response.headers.emplace_back("Cache-Control", "no-store");
  response.body = *std::move(body);
  return response;
}

absl::StatusOr<std::string> HistoryBody(GatewayContext& context, const HttpRequest& request) {
  const int64_t now = absl::ToUnixSeconds(absl::Now());
  VALLM_ASSIGN_OR_RETURN(const int64_t from,
                         QueryNumber(request, "from", 0, std::numeric_limits<int64_t>::max() / 2,
                                     now - History::kSeconds));
  VALLM_ASSIGN_OR_RETURN(const int64_t step,
                         QueryNumber(request, "step", 1, kMaxStepSeconds, /*otherwise=*/5));
  const auto seconds = static_cast<int>(step);
  return HistoryJson(context.recorder.history().Query(from, seconds), seconds);
}

absl::StatusOr<std::string> RequestsBody(GatewayContext& context, const HttpRequest& request) {
  VALLM_ASSIGN_OR_RETURN(const int64_t limit,
                         QueryNumber(request, "limit", 1, kMaxEntries, /*otherwise=*/100));
  const auto count = static_cast<size_t>(limit);
  return RequestsJson(context.request_log.Active(count), context.request_log.Recent(count),
                      absl::Now());
}

}  // namespace

HttpResponse AdminPage(GatewayContext&, const HttpRequest&) {
  const PageFile& page = AdminPageFile();
  HttpResponse response;
  response.content_type = "text/html; charset=utf-8";
  response.headers = {{"Content-Security-Policy", page.content_security_policy},
                      {"X-Content-Type-Options", "nosniff"},
                      {"Referrer-Policy", "no-referrer"},
                      {"Cache-Control", "no-cache"}};
  response.body = page.html;
  return response;
}

HttpResponse AdminOverview(GatewayContext& context, const HttpRequest&) {
  Overview overview;
  overview.version = kVersion;
  overview.started = context.start_time;
  overview.draining = context.draining;
  // Asked for without patience: the page is of use before the first instance is.
  const auto model = context.pool.GetModelInfo(absl::ZeroDuration());
  if (model.ok()) {
    if (auto served = context.GetServedModel(); served.ok()) overview.models = served->names;
  }
  overview.queued = context.pool.waiting_count();
  overview.max_queue_size = context.options.instances.queue.max_queue_size;
  overview.active_requests = context.request_log.active_count();
  overview.max_concurrent_requests = context.options.max_concurrent_requests;
  overview.instances = context.pool.Snapshot();
  return JsonResponse(OverviewJson(overview, absl::Now()));
}

HttpResponse AdminHistory(GatewayContext& context, const HttpRequest& request) {
  return JsonResponse(HistoryBody(context, request));
}

HttpResponse AdminRequests(GatewayContext& context, const HttpRequest& request) {
  return JsonResponse(RequestsBody(context, request));
}

}  // namespace vallm::gateway
