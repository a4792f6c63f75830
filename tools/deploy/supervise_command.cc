#include "tools/deploy/supervise_command.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/flags.h"
#include "common/signals.h"
#include "common/status_macros.h"
#include "common/version.h"
#include "tools/deploy/control_socket.h"
#include "tools/deploy/deploy_options.h"
#include "tools/deploy/deployment.h"
#include "tools/deploy/host_children.h"
#include "tools/deploy/log_router.h"
#include "tools/deploy/service_supervisor.h"
#include "tools/serve/child_commands.h"
#include "tools/serve/preflight.h"
#include "tools/serve/probe_targets.h"

namespace vallm::tools {
namespace {

using nlohmann::ordered_json;

constexpr char kExamples[] =
    "  vallm supervise Qwen3          # what `vallm deploy` keeps running in the background\n"
    "  ExecStart=/opt/vallm/bin/vallm supervise Qwen3    # in a unit of systemd\n";

constexpr absl::Duration kTick = absl::Milliseconds(50);

void PrintLine(const std::string& line) {
  std::fprintf(stderr, "%s %s\n",
               absl::FormatTime("%Y-%m-%d %H:%M:%E3S", absl::Now(), absl::LocalTimeZone()).c_str(),
               line.c_str());
}

// What the record on disk asks for.
absl::StatusOr<std::vector<Service>> ServicesOf(const Deployment& deployment,
                                                const std::string& admin_key,
                                                DeployOptions* options) {
  VALLM_ASSIGN_OR_RETURN(const DeploymentRecord record, deployment.Read());
  if (record.runtime != "host") {
    return absl::FailedPreconditionError(absl::StrCat(
        "deployment ", deployment.name(), " is of runtime ", record.runtime, ", not host"));
  }
  VALLM_ASSIGN_OR_RETURN(*options, OptionsOf(record));
  ShowDevices(*options);
  VALLM_ASSIGN_OR_RETURN(const ServiceBinaries binaries, FindServiceBinaries(options->serve));
  // OptionsOf has taken the variables that set flags out of the environment.
  auto children =
      HostChildren(deployment, record, *options, binaries, admin_key, ChildEnvironment({}));
  const std::vector<ProbeTarget> probes =
      ProbeTargets(options->serve, {record.tokenizer_port, record.engine_ports});
  std::vector<Service> services;
  for (size_t i = 0; i < children.size(); ++i) {
    services.push_back({.child = std::move(children[i]), .probe = probes[i]});
  }
  return services;
}

class DeploymentSupervisor {
 public:
  static absl::StatusOr<std::unique_ptr<DeploymentSupervisor>> Start(Deployment deployment) {
    VALLM_ASSIGN_OR_RETURN(auto lock, FileLock::Take(deployment.File("supervisor.lock")));
    auto self = std::unique_ptr<DeploymentSupervisor>(
        new DeploymentSupervisor(std::move(deployment), std::move(lock)));
    VALLM_ASSIGN_OR_RETURN(self->admin_key_, self->deployment_.AdminKey());
    DeployOptions options;
    VALLM_ASSIGN_OR_RETURN(auto services,
                           ServicesOf(self->deployment_, self->admin_key_, &options));
    VALLM_RETURN_IF_ERROR(PrepareLogDir(LogDirectory(self->deployment_, options)));
    VALLM_ASSIGN_OR_RETURN(self->logs_,
                           LogRouter::Create(int64_t{options.log_max_mib} << 20, options.log_keep));
    VALLM_ASSIGN_OR_RETURN(self->server_, ControlServer::Listen(self->deployment_.directory()));
    VALLM_ASSIGN_OR_RETURN(
        self->services_,
        ServiceSupervisor::Start(std::move(services), *self->logs_,
                                 absl::Seconds(options.serve.hang_timeout_s), PrintLine));
    return self;
  }

  void Run() {
    PrintLine(
        absl::StrCat("supervising deployment ", deployment_.name(), " as process ", getpid()));
    while (!stopping_) {
      if (!services_->Step(kTick)) break;
      server_->Serve([this](const ordered_json& call) { return Answer(call); });
    }
    server_.reset();  // who finds no socket any more waits for the lock
    services_->Shutdown();
    PrintLine("stopped");
  }

 private:
  DeploymentSupervisor(Deployment deployment, std::unique_ptr<FileLock> lock)
      : deployment_(std::move(deployment)), lock_(std::move(lock)) {}

  ordered_json Answer(const ordered_json& call) {
    const std::string method = call.value("method", "");
    if (method == "status") return Status();
    if (method == "apply") return Apply(call);
    if (method == "stop") {
      stopping_ = true;
      return {{"ok", true}, {"pid", getpid()}};
    }
    return {{"error", absl::StrCat("unknown method '", method, "'")}};
  }

  ordered_json Status() const {
    ordered_json status = services_->Describe();
    status["name"] = deployment_.name();
    status["version"] = kVersion;
    status["pid"] = getpid();
    status["started"] = absl::ToUnixSeconds(start_time_);
    return status;
  }

  ordered_json Apply(const ordered_json& call) {
    DeployOptions options;
    auto services = ServicesOf(deployment_, admin_key_, &options);
    if (!services.ok()) return {{"error", std::string(services.status().message())}};
    const absl::Status status =
        services_->Apply(*std::move(services), call.value("restart", std::vector<std::string>()));
    if (!status.ok()) return {{"error", std::string(status.message())}};
    return {{"ok", true}};
  }

  const Deployment deployment_;
  const std::unique_ptr<FileLock> lock_;
  const absl::Time start_time_ = absl::Now();
  std::string admin_key_;
  bool stopping_ = false;
  std::unique_ptr<LogRouter> logs_;  // outlives the processes, and carries their last words
  std::unique_ptr<ServiceSupervisor> services_;
  std::unique_ptr<ControlServer> server_;
};

absl::Status Supervise(const std::string& state_dir, const std::string& name) {
  VALLM_ASSIGN_OR_RETURN(const std::string root, Deployment::Root(state_dir));
  VALLM_ASSIGN_OR_RETURN(Deployment deployment, Deployment::Choose(root, name));
  VALLM_ASSIGN_OR_RETURN(const auto supervisor, DeploymentSupervisor::Start(std::move(deployment)));
  supervisor->Run();
  return absl::OkStatus();
}

}  // namespace

int RunSupervise(int argc, char** argv) {
  BlockTerminationSignals();
  std::string name;
  std::string state_dir;
  FlagParser flags("vallm supervise",
                   "Runs the processes of a deployment that `vallm deploy` has made, in the "
                   "foreground: starts them, restarts what dies, rotates their logs. SIGTERM "
                   "drains and stops them.",
                   kExamples);
  flags.app().add_option("NAME", name, "The deployment (default: the only one)");
  flags.app().add_option("--state-dir", state_dir, "Where deployments are kept");
  if (auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  const absl::Status status = Supervise(state_dir, name);
  if (status.ok()) return 0;
  std::fprintf(stderr, "vallm supervise: %s\n", std::string(status.message()).c_str());
  return absl::IsInvalidArgument(status) ? 2 : 1;
}

}  // namespace vallm::tools
