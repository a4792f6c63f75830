#include "tools/deploy/deployment_status.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "tools/deploy/deploy_options.h"
#include "tools/deploy/host_runtime.h"
#include "tools/serve/probe_targets.h"

namespace vallm::tools {
namespace {

using nlohmann::ordered_json;

const GatewayInstance* InGateway(const DeploymentStatus& status, const ServiceState& service) {
  for (const GatewayInstance& instance : status.in_gateway) {
    if (instance.address == service.address) return &instance;
  }
  return nullptr;
}

// What a person wants to read in one word.
std::string Condition(const ServiceState& service, const GatewayInstance* instance) {
  if (service.state == "stopping") return "restarting";
  if (service.state == "waiting") return "waiting";
  if (!service.ready) {
    return service.loaded_percent >= 0 ? absl::StrCat("loading ", service.loaded_percent, "%")
                                       : "starting";
  }
  if (instance != nullptr && instance->admin_state != "enabled") return instance->admin_state;
  return "serving";
}

std::string Uptime(absl::Duration duration) {
  const int64_t seconds = absl::ToInt64Seconds(duration);
  if (seconds < 60) return absl::StrCat(seconds, "s");
  if (seconds < 3600) return absl::StrFormat("%dm%02ds", seconds / 60, seconds % 60);
  if (seconds < 86400) return absl::StrFormat("%dh%02dm", seconds / 3600, seconds / 60 % 60);
  return absl::StrFormat("%dd%02dh", seconds / 86400, seconds / 3600 % 24);
}

std::string KvText(const GatewayInstance& instance) {
  if (instance.total_kv_blocks == 0) return "-";
  return absl::StrFormat("%d%%", 100 * (instance.total_kv_blocks - instance.free_kv_blocks) /
                                     instance.total_kv_blocks);
}

}  // namespace

absl::StatusOr<DeploymentStatus> StatusOf(const Deployment& deployment) {
  VALLM_ASSIGN_OR_RETURN(const DeploymentRecord record, deployment.Read());
  VALLM_ASSIGN_OR_RETURN(const DeployOptions options, OptionsOf(record));
  const ServeOptions& serve = options.serve;
  const std::string base = absl::StrCat("://", ReachableHost(serve.host), ":");
  DeploymentStatus status{
      .name = deployment.name(),
      .runtime = record.runtime,
      .state = record.runtime == "host" ? "stopped" : "external",
      .api = absl::StrCat(SpeaksTls(serve) ? "https" : "http", base, serve.port, "/v1"),
      .management = absl::StrCat("http", base, serve.management_port, "/"),
      .model = serve.served_model_names.front(),
      .model_path = serve.engine.model_dir,
      .instances = serve.instances,
      .tensor_parallel_size = serve.engine.tensor_parallel_size,
      .device = serve.engine.device,
      .supervisor = {},
      .in_gateway = {}};
  if (record.runtime == "k8s") return status;
  if (record.runtime == "docker") {  // the gateway knows; there is no supervisor
    VALLM_ASSIGN_OR_RETURN(const auto gateway, GatewayOf(deployment, serve));
    auto instances = gateway->Instances();
    status.state = "stopped";
    if (!instances.ok()) return status;
    status.in_gateway = *std::move(instances);
    const auto serving = std::count_if(status.in_gateway.begin(), status.in_gateway.end(),
                                       [](const GatewayInstance& i) { return i.serving; });
    status.state = serving == serve.instances ? "serving" : serving > 0 ? "degraded" : "starting";
    return status;
  }
  auto supervisor = QuerySupervisor(deployment);
  if (!supervisor.ok()) {
    if (deployment.HasSupervisor()) status.state = "stopping";
    return status;
  }
  status.supervisor = *std::move(supervisor);
  VALLM_ASSIGN_OR_RETURN(const auto gateway, GatewayOf(deployment, serve));
  auto instances = gateway->Instances();
  if (instances.ok()) status.in_gateway = *std::move(instances);
  const bool some_serve = std::any_of(status.in_gateway.begin(), status.in_gateway.end(),
                                      [](const GatewayInstance& i) { return i.serving; });
  const bool all_serve = std::all_of(status.in_gateway.begin(), status.in_gateway.end(),
                                     [](const GatewayInstance& i) { return i.serving; });
  const ServiceState* const front = status.supervisor.Find("gateway");
  const bool answers = front != nullptr && front->ready && some_serve;
  status.state = status.supervisor.AllReady() && answers && all_serve ? "serving"
                 : answers                                            ? "degraded"
                                                                      : "starting";
  return status;
}

std::string StatusTable(const DeploymentStatus& status, absl::Time now) {
  std::string text = absl::StrFormat("%s: %s\n", status.name, status.state);
  absl::StrAppendFormat(&text, "  %-12s %s (%s), %d x TP %d on %s, runtime %s\n", "model",
                        status.model, status.model_path, status.instances,
                        status.tensor_parallel_size, status.device, status.runtime);
  absl::StrAppendFormat(&text, "  %-12s %s   management %s\n", "API", status.api,
                        status.management);
  if (status.supervisor.services.empty()) return text;
  absl::StrAppendFormat(&text, "  %-12s process %d, up %s\n", "supervisor", status.supervisor.pid,
                        Uptime(now - status.supervisor.started));
  absl::StrAppendFormat(&text, "\n  %-10s %-12s %7s %8s %8s %8s %6s %8s  %s\n", "service", "state",
                        "pid", "up", "restarts", "requests", "KV", "tokens/s", "log");
  for (const ServiceState& service : status.supervisor.services) {
    const GatewayInstance* const instance = InGateway(status, service);
    absl::StrAppendFormat(
        &text, "  %-10s %-12s %7s %8s %8d %8s %6s %8s  %s\n", service.name,
        Condition(service, instance), service.pid == 0 ? "-" : absl::StrCat(service.pid),
        service.pid == 0 ? "-" : Uptime(now - service.started), service.starts - 1,
        instance == nullptr ? "-" : absl::StrCat(instance->running, "/", instance->max),
        instance == nullptr ? "-" : KvText(*instance),
        instance == nullptr ? "-" : absl::StrFormat("%.1f", instance->tokens_per_second),
        service.log);
    if (!service.last_exit.empty()) {
      absl::StrAppendFormat(&text, "  %-10s last: %s\n", "", service.last_exit);
    }
  }
  return text;
}

ordered_json StatusJson(const DeploymentStatus& status) {
  ordered_json services = ordered_json::array();
  for (const ServiceState& service : status.supervisor.services) {
    const GatewayInstance* const instance = InGateway(status, service);
    ordered_json entry = {{"name", service.name},
                          {"state", Condition(service, instance)},
                          {"ready", service.ready},
                          {"pid", service.pid},
                          {"address", service.address},
                          {"started", absl::ToUnixSeconds(service.started)},
                          {"restarts", service.starts - 1},
                          {"last_exit", service.last_exit},
                          {"log", service.log}};
    if (instance != nullptr) {
      entry["instance"] = {{"id", instance->id},
                           {"serving", instance->serving},
                           {"admin_state", instance->admin_state},
                           {"in_flight", instance->in_flight},
                           {"running", instance->running},
                           {"waiting", instance->waiting},
                           {"max", instance->max},
                           {"free_kv_blocks", instance->free_kv_blocks},
                           {"total_kv_blocks", instance->total_kv_blocks},
                           {"tokens_per_second", instance->tokens_per_second}};
    }
    services.push_back(std::move(entry));
  }
  return {{"name", status.name},
          {"state", status.state},
          {"runtime", status.runtime},
          {"api", status.api},
          {"management", status.management},
          {"model", status.model},
          {"model_path", status.model_path},
          {"instances", status.instances},
          {"tensor_parallel_size", status.tensor_parallel_size},
          {"device", status.device},
          {"supervisor_pid", status.supervisor.pid},
          {"services", std::move(services)}};
}

}  // namespace vallm::tools
