#include "gateway/gateway.h"

#include <glog/logging.h>

#include <utility>
#include <vector>

#include "common/status_macros.h"
#include "gateway/front_door.h"
#include "gateway/http_server.h"
#include "gateway/routes/chat_completions.h"
#include "gateway/routes/chat_control.h"
#include "gateway/routes/completions.h"
#include "gateway/routes/context.h"
#include "gateway/routes/health.h"
#include "gateway/routes/instances.h"
#include "gateway/routes/messages.h"
#include "gateway/routes/models.h"
#include "gateway/routes/status_page.h"
#include "gateway/routes/tokenize.h"
#include "gateway/routing/instance_address.h"

namespace vallm::gateway {
namespace {

// How long an answer that was told to stop may take to say so.
constexpr absl::Duration kStopGrace = absl::Seconds(5);

using ContextHandler = HttpResponse (*)(GatewayContext&, const HttpRequest&);

Route Get(GatewayContext& context, std::string path, ContextHandler handler) {
  auto bound = [&context, handler](const HttpRequest& request) {
    return handler(context, request);
  };
  return {.method = "GET", .path = std::move(path), .handler = bound};
}

Route Post(GatewayContext& context, std::string path, ContextHandler handler) {
  Route route = Get(context, std::move(path), handler);
  route.method = "POST";
  return route;
}

Route Delete(GatewayContext& context, std::string path, ContextHandler handler) {
  Route route = Get(context, std::move(path), handler);
  route.method = "DELETE";
  return route;
}

// Open to probes, and too frequent for the log.
Route Probe(GatewayContext& context, std::string path, ContextHandler handler) {
  Route route = Get(context, std::move(path), handler);
  route.needs_key = false;
  route.quiet = true;
  return route;
}

std::vector<Route> ProbeRoutes(GatewayContext& context) {
  return {Probe(context, "/health", Ready),       Probe(context, "/health/live", Live),
          Probe(context, "/health/ready", Ready), Probe(context, "/ping", Live),
          Probe(context, "/version", Version),    Probe(context, "/metrics", Metrics)};
}

std::vector<Route> MainRoutes(GatewayContext& context) {
  std::vector<Route> routes = {
      Post(context, "/v1/chat/completions", ChatCompletions),
      Post(context, "/v1/chat/completions/", ChatControl),
      Post(context, "/v1/completions", Completions),
      Post(context, "/v1/messages", Messages),
      Post(context, "/v1/messages/count_tokens", CountMessageTokens),
      Get(context, "/v1/models", ListModels),
      Get(context, "/v1/models/", GetModel),
      Post(context, "/tokenize", Tokenize),
      Post(context, "/detokenize", Detokenize),
  };
  for (Route& route : ProbeRoutes(context)) routes.push_back(std::move(route));
  return routes;
}

std::vector<Route> ManagementRoutes(GatewayContext& context) {
  std::vector<Route> routes = ProbeRoutes(context);
  routes.push_back(Probe(context, "/", StatusPage));
  routes.push_back(Get(context, "/instances", ListInstances));
  routes.back().quiet = true;  // the page asks every few seconds
  routes.push_back(Post(context, "/instances", AddInstance));
  routes.push_back(Get(context, "/instances/", GetInstance));
  routes.push_back(Delete(context, "/instances/", RemoveInstance));
  routes.push_back(Post(context, "/instances/", ControlInstance));
  return routes;
}

// gRPC and headers carry a key as bytes, but the HTTP library decodes percent signs in headers.
absl::Status CheckOptions(const GatewayOptions& options) {
  if (options.instances.addresses.empty()) {
    return absl::InvalidArgumentError("at least one engine address is required");
  }
  for (const std::string& address : options.instances.addresses) {
    VALLM_RETURN_IF_ERROR(CheckInstanceAddress(address));
  }
  for (const std::string& key : options.api_keys) {
    if (key.empty() || key.find('%') != std::string::npos) {
      return absl::InvalidArgumentError("an API key must not be empty or contain '%'");
    }
  }
  return absl::OkStatus();
}

std::string MetricsModelName(const GatewayOptions& options) {
  return options.served_model_names.empty() ? "default" : options.served_model_names.front();
}

}  // namespace

// Destroyed from the last member to the first: no request may outlive the context.
struct Gateway::Impl {
  explicit Impl(const GatewayOptions& options)
      : context(options, MetricsModelName(options)),
        main_door({.api_keys = options.api_keys, .allowed_origins = options.allowed_origins},
                  MainRoutes(context), context.metrics),
        management_door({}, ManagementRoutes(context), context.metrics) {}

  GatewayContext context;
  FrontDoor main_door;
  FrontDoor management_door;
  std::unique_ptr<HttpServer> main_server;
  std::unique_ptr<HttpServer> management_server;
};

absl::StatusOr<std::unique_ptr<Gateway>> Gateway::Start(const GatewayOptions& options) {
  VALLM_RETURN_IF_ERROR(CheckOptions(options));
  auto impl = std::make_unique<Impl>(options);
  VALLM_ASSIGN_OR_RETURN(impl->management_server,
                         HttpServer::Start(options.management, impl->management_door));
  VALLM_ASSIGN_OR_RETURN(impl->main_server, HttpServer::Start(options.http, impl->main_door));
  return std::unique_ptr<Gateway>(new Gateway(std::move(impl)));
}

Gateway::Gateway(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Gateway::~Gateway() { impl_->context.stopping = true; }

int Gateway::port() const { return impl_->main_server->port(); }
int Gateway::management_port() const { return impl_->management_server->port(); }

void Gateway::Drain() {
  GatewayContext& context = impl_->context;
  context.draining = true;
  context.gate.Close();
  if (context.gate.WaitUntilEmpty(context.options.drain_timeout)) return;
  LOG(WARNING) << "answers still run after " << context.options.drain_timeout
               << "; ending them with an error";
  context.stopping = true;
  context.gate.WaitUntilEmpty(kStopGrace);
}

}  // namespace vallm::gateway
