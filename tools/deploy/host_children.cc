#include "tools/deploy/host_children.h"

#include <cstdlib>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "engine_service/device/vacc/visible_dies.h"
#include "tools/serve/child_commands.h"

namespace vallm::tools {
namespace {

constexpr std::string_view kEnginePrefix = "engine-";

}  // namespace

std::string LogName(const std::string& child) {
  if (child.rfind(kEnginePrefix, 0) != 0) return child + ".log";
  return absl::StrCat("llm_serve_", child.substr(kEnginePrefix.size()), ".log");
}

std::string LogDirectory(const Deployment& deployment, const DeployOptions& options) {
  return options.log_dir.empty() ? deployment.File("logs") : options.log_dir;
}

std::vector<std::string> EngineAddresses(const DeploymentRecord& record) {
  std::vector<std::string> addresses;
  for (int port : record.engine_ports) addresses.push_back(absl::StrCat("127.0.0.1:", port));
  return addresses;
}

void ShowDevices(const DeployOptions& options) {
  if (options.devices.empty()) return;
  setenv(engine::kVisibleDiesVariable, options.devices.c_str(), /*overwrite=*/1);
}

std::vector<SupervisedChild> HostChildren(const Deployment& deployment,
                                          const DeploymentRecord& record,
                                          const DeployOptions& options,
                                          const ServiceBinaries& binaries,
                                          const std::string& admin_key,
                                          const std::vector<std::string>& environment) {
  ServeOptions serve = options.serve;
  serve.gateway_flags["--instances-file"] = deployment.File("instances.yaml");
  serve.admin_api_keys.push_back(admin_key);
  const InternalPorts ports{.tokenizer = record.tokenizer_port, .engines = record.engine_ports};
  std::vector<SupervisedChild> children = ServiceChildren(serve, binaries, ports, environment);
  const std::string logs = LogDirectory(deployment, options);
  for (SupervisedChild& child : children) {
    child.spec.output_path = absl::StrCat(logs, "/", LogName(child.spec.name));
  }
  return children;
}

}  // namespace vallm::tools
