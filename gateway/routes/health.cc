#include "gateway/routes/health.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/version.h"
#include "gateway/openai/errors.h"

namespace vallm::gateway {
namespace {

constexpr absl::Duration kTokenizerPatience = absl::Milliseconds(500);

absl::Status CheckReady(GatewayContext& context, const std::string& request_id) {
  if (context.draining) return absl::UnavailableError("the server is shutting down");
  const std::vector<InstanceSnapshot> instances = context.pool.Snapshot();
  if (std::none_of(instances.begin(), instances.end(),
                   [](const InstanceSnapshot& instance) { return instance.serving; })) {
    return absl::UnavailableError("no engine instance is serving");
  }
  return context.tokenizer.CheckReady(kTokenizerPatience, request_id);
}

}  // namespace

HttpResponse Live(GatewayContext&, const HttpRequest&) {
  HttpResponse response;
  response.body = R"({"status":"ok"})";
  return response;
}

HttpResponse Ready(GatewayContext& context, const HttpRequest& request) {
  const absl::Status status = CheckReady(context, request.request_id);
  return status.ok() ? Live(context, request) : ErrorResponse(status);
}

HttpResponse Version(GatewayContext&, const HttpRequest&) {
  HttpResponse response;
  response.body = std::string(R"({"version":")") + kVersion + R"("})";
  return response;
}

HttpResponse ServerLoad(GatewayContext& context, const HttpRequest&) {
  HttpResponse response;
  response.body = absl::StrCat("{\"server_load\":", context.gate.inside(), "}");
  return response;
}

HttpResponse Metrics(GatewayContext& context, const HttpRequest&) {
  HttpResponse response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = context.metrics.Text({.instances = context.pool.Snapshot(),
                                        .waiting = context.pool.waiting_count(),
                                        .tokenizer_is_up = context.tokenizer.service_is_up(),
                                        .tokenizer_is_copied = context.tokenizer.has_copy()});
  return response;
}

}  // namespace vallm::gateway
