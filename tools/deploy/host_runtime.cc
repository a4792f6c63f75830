#include "tools/deploy/host_runtime.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "engine_service/device/create_device.h"
#include "tools/deploy/host_children.h"
#include "tools/deploy/supervisor_client.h"
#include "tools/doctor/host_checks.h"
#include "tools/doctor/model_checks.h"
#include "tools/serve/preflight.h"
#include "tools/serve/probe_targets.h"

namespace vallm::tools {
namespace {

// Of all processes that run for the deployment: what they give back when they are replaced.
int64_t MemoryOf(const Deployment& deployment) {
  const auto state = QuerySupervisor(deployment);
  if (!state.ok()) return 0;
  int64_t bytes = 0;
  for (const ServiceState& service : state->services) {
    // Workers are in the process group of their engine, which is what the kernel counts with it.
    std::ifstream status(absl::StrCat("/proc/", service.pid, "/task/", service.pid, "/children"));
    std::vector<std::string> pids = {absl::StrCat(service.pid)};
    for (std::string child; status >> child;) pids.push_back(child);
    for (const std::string& pid : pids) {
      std::ifstream file(absl::StrCat("/proc/", pid, "/status"));
      for (std::string line; std::getline(file, line);) {
        long long kib = 0;
        if (std::sscanf(line.c_str(), "RssAnon: %lld kB", &kib) == 1) bytes += kib * 1024;
      }
    }
  }
  return bytes;
}

// Several instances on one machine start together: each would take half of the memory that the
// weights leave, as if it were alone. 0: that is little enough, or somebody has decided.
int64_t ShareOfMemory(const DeployOptions& options, int64_t held_bytes) {
  const engine::EngineOptions& o = options.serve.engine;
  const int instances = options.serve.instances;
  if (instances == 1 || o.device != engine::kCpuDevice || o.kv_cache_bytes || o.num_kv_blocks) {
    return 0;
  }
  const MemoryNeed need = ExpectedMemory(options.serve);
  const int64_t usable = UsableMemory();
  if (usable < 0 || need.weight_bytes == 0) return 0;
  const int64_t share =
      std::max<int64_t>(usable + held_bytes - instances * need.weight_bytes, 0) / 2 / instances;
  return need.kv_bytes > share ? share : 0;
}

// Whether two sets of flags ask for the same memory.
bool SameMemory(const FlagValues& a, const FlagValues& b) {
  for (const char* flag : {"model", "device", "instance", "tensor-parallel-size", "max-model-len",
                           "kv-cache-dtype", "max-batch-size-for-instance", "kv-cache-memory",
                           "num-kv-blocks", "enable-qwen3-rope-scaling", "rope-scaling"}) {
    const auto in_a = a.find(flag);
    const auto in_b = b.find(flag);
    if ((in_a == a.end()) != (in_b == b.end())) return false;
    if (in_a != a.end() && in_a->second != in_b->second) return false;
  }
  return true;
}

std::set<int> PortsOf(const DeploymentRecord& record, const DeployOptions& options) {
  std::set<int> ports(record.engine_ports.begin(), record.engine_ports.end());
  ports.insert({record.tokenizer_port, options.serve.port, options.serve.management_port});
  return ports;
}

}  // namespace

absl::StatusOr<HostPlan> PlanHost(const Deployment& deployment, const DeployOptions& given,
                                  const FlagValues& flags, Findings& findings) {
  HostPlan plan;
  DeployOptions options = given;
  ShowDevices(options);
  EarlierPorts earlier;
  DeployOptions old_options;
  auto before = deployment.Read();
  if (before.ok()) {
    plan.before = *before;
    plan.running = deployment.HasSupervisor();
    VALLM_ASSIGN_OR_RETURN(old_options, OptionsOf(*before));
    earlier.internal = {before->tokenizer_port, before->engine_ports};
    if (plan.running) earlier.held = PortsOf(*before, old_options);
  } else if (!absl::IsNotFound(before.status())) {
    return before.status();
  }
  plan.record = {.runtime = "host", .flags = flags, .engine_ports = {}};
  const int64_t held_bytes = plan.running ? MemoryOf(deployment) : 0;
  plan.record.kv_cache_bytes = plan.before.has_value() && SameMemory(plan.before->flags, flags)
                                   ? plan.before->kv_cache_bytes
                                   : ShareOfMemory(options, held_bytes);
  if (plan.record.kv_cache_bytes > 0) {
    options.serve.engine.kv_cache_bytes = plan.record.kv_cache_bytes;
  }

  HostQuestion question{.held_ports = earlier.held, .log_dir = LogDirectory(deployment, options)};
  const int64_t files = options.serve.instances + 2;
  question.log_bytes = files * (int64_t{options.log_max_mib} << 20) * (options.log_keep + 1);
  question.held_memory_bytes = held_bytes;
  CheckModel(options.serve, findings);
  CheckHost(options.serve, question, findings);
  if (AnyFailed(findings)) return plan;

  VALLM_ASSIGN_OR_RETURN(const InternalPorts ports, ReservePorts(options.serve, earlier));
  plan.record.tokenizer_port = ports.tokenizer;
  plan.record.engine_ports = ports.engines;
  VALLM_ASSIGN_OR_RETURN(const ServiceBinaries binaries, FindServiceBinaries(options.serve));
  // Compared with nothing but what they ask for: the environment of this shell is not part of it.
  plan.children = HostChildren(deployment, plan.record, options, binaries, "", {});
  if (!plan.before.has_value()) return plan;
  plan.flag_changes = DescribeChanges(plan.before->flags, flags);
  if (!plan.running) return plan;
  ShowDevices(old_options);
  const auto old_children = HostChildren(deployment, *plan.before, old_options, binaries, "", {});
  ShowDevices(options);
  plan.change = PlanChange(old_children, plan.children);
  return plan;
}

std::string DescribePlan(const HostPlan& plan) {
  std::string text;
  for (const std::string& change : plan.flag_changes) {
    absl::StrAppend(&text, "  changed: ", change, "\n");
  }
  const auto list = [&text](const char* what, const std::vector<std::string>& names) {
    if (!names.empty()) absl::StrAppend(&text, "  ", what, ": ", absl::StrJoin(names, ", "), "\n");
  };
  if (!plan.running) {
    std::vector<std::string> names;
    for (const SupervisedChild& child : plan.children) names.push_back(child.spec.name);
    list("start", names);
  } else if (plan.change.replace) {
    absl::StrAppend(&text, "  stop everything, then start anew: ", plan.change.reason, "\n");
  } else if (plan.change.empty()) {
    absl::StrAppend(&text, "  nothing to do: it runs as asked for\n");
  } else {
    list("start", plan.change.added);
    list("take out of service and stop", plan.change.removed);
    list("restart one after the other, while the others serve", plan.change.ChangedEngines());
    for (const char* name : {"tokenizer", "gateway"}) {
      if (plan.change.Changes(name)) list("restart", {name});
    }
  }
  return text;
}

absl::StatusOr<std::unique_ptr<GatewayAdmin>> GatewayOf(const Deployment& deployment,
                                                        const ServeOptions& options) {
  VALLM_ASSIGN_OR_RETURN(std::string key, deployment.AdminKey());
  return std::make_unique<GatewayAdmin>(
      absl::StrCat("http://", ReachableHost(options.host), ":", options.management_port),
      std::move(key));
}

absl::Status CarryOut(const Deployment& deployment, const DeployOptions& options,
                      const HostPlan& plan, Rollout& rollout,
                      const std::function<void(const std::string&)>& say) {
  if (plan.running && plan.change.empty()) return deployment.Write(plan.record);
  if (!plan.running || plan.change.replace) {
    if (plan.running) {
      say("  stopping what runs");
      VALLM_RETURN_IF_ERROR(StopSupervisor(deployment, /*now=*/false, [] { return true; }));
    }
    VALLM_RETURN_IF_ERROR(deployment.Write(plan.record));
    VALLM_RETURN_IF_ERROR(deployment.WriteInstances(EngineAddresses(plan.record)));
    return StartSupervisor(deployment);
  }
  VALLM_RETURN_IF_ERROR(deployment.Write(plan.record));
  const std::vector<std::string> before = EngineAddresses(*plan.before);
  const std::vector<std::string> after = EngineAddresses(plan.record);
  const absl::Status status = rollout.Apply(plan.change, before, after);
  if (status.ok() || absl::IsCancelled(status)) return status;
  say(absl::StrCat("  failed: ", status.message(), "\n  going back to what ran before"));
  VALLM_RETURN_IF_ERROR(deployment.Write(*plan.before));
  VALLM_RETURN_IF_ERROR(deployment.WriteInstances(before));
  const absl::Status back = rollout.GoBack();
  if (!back.ok()) say(absl::StrCat("  it does not serve as before either: ", back.message()));
  return status;
}

}  // namespace vallm::tools
