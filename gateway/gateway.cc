#include "gateway/gateway.h"

#include <glog/logging.h>

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "gateway/access/key_ring.h"
#include "gateway/front_door.h"
#include "gateway/http_server.h"
#include "gateway/routes/admin.h"
#include "gateway/routes/chat_completions.h"
#include "gateway/routes/chat_control.h"
#include "gateway/routes/completions.h"
#include "gateway/routes/context.h"
#include "gateway/routes/health.h"
#include "gateway/routes/instances.h"
#include "gateway/routes/messages.h"
#include "gateway/routes/models.h"
#include "gateway/routes/openapi.h"
#include "gateway/routes/parse.h"
#include "gateway/routes/render.h"
#include "gateway/routes/responses.h"
#include "gateway/routes/route_explain.h"
#include "gateway/routes/tokenize.h"
#include "gateway/routing/instance_address.h"
#include "gateway/routing/instance_sources.h"
#include "gateway/tls_context.h"

namespace vallm::gateway {
namespace {

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
          Probe(context, "/version", Version),    Probe(context, "/metrics", Metrics),
          Probe(context, "/load", ServerLoad)};
}

std::vector<Route> MainRoutes(GatewayContext& context) {
  std::vector<Route> routes = {
      Post(context, "/v1/chat/completions", ChatCompletions),
      Post(context, "/v1/chat/completions/render", ApplyTemplate),
      Post(context, "/v1/chat/completions/input_tokens", CountInputTokens),
      Post(context, "/v1/chat/completions/", ChatControl),
      Post(context, "/v1/completions", Completions),
      Post(context, "/v1/messages", Messages),
      Post(context, "/v1/messages/count_tokens", CountMessageTokens),
      Post(context, "/v1/responses", CreateResponse),
      Post(context, "/v1/responses/", CancelResponse),
      Get(context, "/v1/responses/", GetResponse),
      Delete(context, "/v1/responses/", DeleteResponse),
      Get(context, "/v1/models", ListModels),
      Get(context, "/v1/models/", GetModel),
      Get(context, "/v1/route/explain", ExplainRoute),
      Post(context, "/v1/route/explain", ExplainRoute),
      Post(context, "/tokenize", Tokenize),
      Post(context, "/detokenize", Detokenize),
      Get(context, "/tokenizer_info", DescribeTokenizer),
      Post(context, "/v1/tokenize", Tokenize),
      Post(context, "/v1/detokenize", Detokenize),
      Post(context, "/apply-template", ApplyTemplate),
      Post(context, "/parse", ParseOutput),
      Probe(context, "/openapi.json", OpenApi),
  };
  for (Route& route : ProbeRoutes(context)) routes.push_back(std::move(route));
  return routes;
}

std::vector<Route> ManagementRoutes(GatewayContext& context) {
  std::vector<Route> routes = ProbeRoutes(context);
  routes.push_back(Probe(context, "/", AdminPage));
  // Asked for every second or two by every page that is open.
  for (Route route : {Get(context, "/api/v1/overview", AdminOverview),
                      Get(context, "/api/v1/history", AdminHistory),
                      Get(context, "/api/v1/requests", AdminRequests)}) {
    route.quiet = true;
    routes.push_back(std::move(route));
  }
  routes.push_back(Get(context, "/instances", ListInstances));
  routes.push_back(Post(context, "/instances", AddInstance));
  routes.push_back(Get(context, "/instances/", GetInstance));
  routes.push_back(Delete(context, "/instances/", RemoveInstance));
  routes.push_back(Post(context, "/instances/", ControlInstance));
  return routes;
}

// Certificates that are shown to services, or theirs are checked against.
absl::Status CheckClientTls(const TlsFiles& files) {
  if (files.empty()) return absl::OkStatus();
  if (files.ca.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(files.cert_flag, " needs ", files.ca_flag));
  }
  return CheckTlsFiles(files, absl::Now());
}

absl::Status CheckOptions(const GatewayOptions& options) {
  const InstanceSourceOptions& sources = options.instance_sources;
  if (options.instances.addresses.empty() && sources.file.empty() && sources.dns_name.empty()) {
    return absl::InvalidArgumentError(
        "a source of engine instances is required: addresses, a file or a name of DNS");
  }
  for (const std::string& address : options.instances.addresses) {
    VALLM_RETURN_IF_ERROR(CheckInstanceAddress(address));
  }
  return CheckClientTls(options.instances.tls);
}

bool IsLoopback(const std::string& host) {
  return host == "localhost" || host == "::1" || absl::StartsWith(host, "127.");
}

// Takes the texts of the keys out of `keys`.
absl::StatusOr<std::unique_ptr<KeyRing>> MakeKeyRing(std::string flag,
                                                     std::vector<std::string>& keys,
                                                     const std::string& file,
                                                     const GatewayOptions& options,
                                                     GatewayMetrics& metrics) {
  KeyRingOptions ring = {.keys = std::exchange(keys, {}),
                         .file = file,
                         .keys_flag = flag,
                         .file_flag = flag + "-file",
                         .reload_interval = options.reload_interval};
  if (!file.empty()) metrics.ExpectReloads(flag.substr(2));
  ring.on_reload = [flag, file, &metrics](const absl::Status& status) {
    metrics.CountReload(flag.substr(2), status.ok());
    if (status.ok()) {
      LOG(INFO) << flag << "-file: " << file << " has been read again";
    } else {
      LOG(ERROR) << status.message() << "; the keys stay as they were";
    }
  };
  return KeyRing::Create(std::move(ring));
}

// What `files` ask for: null without a certificate.
absl::StatusOr<std::shared_ptr<const TlsContext>> MakeTlsContext(const TlsFiles& files,
                                                                 const GatewayOptions& options,
                                                                 GatewayMetrics& metrics) {
  if (files.empty()) return nullptr;
  metrics.ExpectReloads(files.cert_flag.substr(2));
  auto on_reload = [files, &metrics](const absl::Status& status) {
    metrics.CountReload(files.cert_flag.substr(2), status.ok());
    if (status.ok()) {
      LOG(INFO) << files.cert_flag << ": " << files.cert << " has been read again";
    } else {
      LOG(ERROR) << status.message() << "; the certificate stays as it was";
    }
  };
  return TlsContext::Create(files, options.reload_interval, std::move(on_reload));
}

std::string MetricsModelName(const GatewayOptions& options) {
  return options.served_model_names.empty() ? "default" : options.served_model_names.front();
}

}  // namespace

// Destroyed from the last member to the first: no request may outlive the context.
struct Gateway::Impl {
  explicit Impl(const GatewayOptions& options) : context(options, MetricsModelName(options)) {}

  GatewayContext context;
  std::unique_ptr<InstanceSources> sources;
  std::unique_ptr<KeyRing> api_keys;
  std::unique_ptr<KeyRing> admin_keys;
  std::unique_ptr<FrontDoor> main_door;
  std::unique_ptr<FrontDoor> management_door;
  std::unique_ptr<HttpServer> main_server;
  std::unique_ptr<HttpServer> management_server;
};

absl::StatusOr<std::unique_ptr<Gateway>> Gateway::Start(GatewayOptions options) {
  VALLM_RETURN_IF_ERROR(CheckOptions(options));
  std::vector<std::string> api_keys = std::exchange(options.api_keys, {});
  std::vector<std::string> admin_keys = std::exchange(options.admin_api_keys, {});
  auto impl = std::make_unique<Impl>(options);
  GatewayContext& context = impl->context;
  VALLM_ASSIGN_OR_RETURN(impl->sources,
                         InstanceSources::Start(context.pool, options.instance_sources));
  VALLM_ASSIGN_OR_RETURN(impl->api_keys, MakeKeyRing("--api-key", api_keys, options.api_key_file,
                                                     options, context.metrics));
  VALLM_ASSIGN_OR_RETURN(impl->admin_keys,
                         MakeKeyRing("--admin-api-key", admin_keys, options.admin_api_key_file,
                                     options, context.metrics));
  impl->main_door = std::make_unique<FrontDoor>(
      FrontDoorOptions{.allowed_origins = options.allowed_origins,
                       .log_bodies = options.log_prompts},
      MainRoutes(context), *impl->api_keys, context.metrics, &context.request_log);
  impl->management_door = std::make_unique<FrontDoor>(
      FrontDoorOptions{.is_management = true, .is_loopback = IsLoopback(options.management.host)},
      ManagementRoutes(context), *impl->admin_keys, context.metrics);
  VALLM_ASSIGN_OR_RETURN(options.http.tls, MakeTlsContext(options.tls, options, context.metrics));
  VALLM_ASSIGN_OR_RETURN(options.management.tls,
                         MakeTlsContext(options.management_tls, options, context.metrics));
  VALLM_ASSIGN_OR_RETURN(impl->management_server,
                         HttpServer::Start(options.management, *impl->management_door));
  VALLM_ASSIGN_OR_RETURN(impl->main_server, HttpServer::Start(options.http, *impl->main_door));
  return std::unique_ptr<Gateway>(new Gateway(std::move(impl)));
}

Gateway::Gateway(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Gateway::~Gateway() { impl_->context.stopping = true; }

std::vector<std::string> Gateway::endpoints() const {
  std::vector<std::string> endpoints;
  for (const Route& route : impl_->main_door->routes()) {
    endpoints.push_back(route.method + " " + route.path);
  }
  return endpoints;
}

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
  if (context.gate.WaitUntilEmpty(context.options.stop_grace)) return;
  LOG(WARNING) << "clients take no answer; cutting their connections";
  impl_->main_server->StopAccepting();
  impl_->main_server->CutConnections();
}

}  // namespace vallm::gateway
