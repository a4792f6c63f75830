#include "tools/deploy/container_runtime.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "engine_service/device/create_device.h"
#include "tools/deploy/container_files.h"
#include "tools/deploy/gateway_admin.h"
#include "tools/deploy/host_runtime.h"
#include "tools/deploy/run_program.h"
#include "tools/doctor/host_checks.h"
#include "tools/doctor/model_checks.h"

namespace vallm::tools {
namespace {

namespace fs = std::filesystem;

constexpr char kUpdated[] = "Deployment configuration updated successfully.";
constexpr char kStarted[] = "Docker containers started successfully.";
constexpr char kRunning[] = "All instances are up and running";
constexpr char kDryRun[] = "Dry run mode enabled. Exiting without starting the service.";

std::string OutputDirectory(const Deployment& deployment, const DeployOptions& options) {
  return options.output_dir.empty() ? deployment.File(options.runtime) : options.output_dir;
}

absl::Status WriteFiles(const std::string& directory, const ContainerFiles& files) {
  for (const auto& [name, text] : files.files) {
    const fs::path path = fs::path(directory) / name;
    std::error_code error;
    fs::create_directories(path.parent_path(), error);
    const bool secret =
        std::find(files.secret.begin(), files.secret.end(), name) != files.secret.end();
    fs::remove(path, error);
    const mode_t before = umask(secret ? 0077 : 0022);
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    umask(before);
    out << text;
    out.close();
    if (!out) {
      return absl::FailedPreconditionError(
          absl::StrCat("cannot write ", path.string(), "; choose another --output-dir"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<ContainerFiles> FilesOf(const DeployOptions& options, const std::string& admin_key) {
  if (options.runtime == "docker") {
    return ComposeFiles(options, admin_key, absl::StrCat(getuid(), ":", getgid()));
  }
  VALLM_ASSIGN_OR_RETURN(ContainerFiles files, OverlayFiles(options));
  if (!options.serve.chat_template.empty()) {
    std::ifstream file(options.serve.chat_template, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    files.files["overlay/chat_template.jinja"] = text.str();
  }
  return files;
}

// {"docker", "compose"}, or what stands for it; empty: nothing does.
std::vector<std::string> ComposeCommand() {
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"docker", "compose"}, {"docker-compose"}, {"podman-compose"}}) {
    std::vector<std::string> probe = command;
    probe.push_back("version");
    if (Works(probe)) return command;
  }
  return {};
}

absl::Status Run(std::vector<std::string> command, const std::vector<std::string>& more,
                 const Say& say) {
  command.insert(command.end(), more.begin(), more.end());
  const std::string line = absl::StrJoin(command, " ");
  say(absl::StrCat("  ", line));
  VALLM_ASSIGN_OR_RETURN(const ProgramResult result, RunProgram(command, /*show=*/true));
  if (result.exit_code == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("'", line, "' ended with exit code ", result.exit_code));
}

absl::Status WaitForInstances(const GatewayAdmin& gateway, int instances, absl::Duration timeout,
                              const Say& say, const std::function<bool()>& interrupted) {
  const absl::Time begin = absl::Now();
  std::ptrdiff_t shown = -1;
  while (absl::Now() - begin < timeout) {
    const auto found = gateway.Instances();
    std::ptrdiff_t serving = 0;
    if (found.ok()) {
      serving = std::count_if(found->begin(), found->end(),
                              [](const GatewayInstance& i) { return i.serving; });
    }
    if (serving != shown) {
      say(absl::StrCat("  ", serving, " of ", instances, " instances serve"));
      shown = serving;
    }
    if (serving >= instances) return absl::OkStatus();
    if (interrupted()) return absl::CancelledError("interrupted");
    absl::SleepFor(absl::Milliseconds(500));
  }
  return absl::DeadlineExceededError(
      absl::StrCat(shown, " of ", instances, " instances serve after ",
                   absl::FormatDuration(timeout), "; see their logs, or raise --start-timeout"));
}

absl::Status StartDocker(const Deployment& deployment, const DeployOptions& options,
                         const std::string& directory, const Say& say,
                         const std::function<bool()>& interrupted) {
  const std::vector<std::string> compose = ComposeCommand();
  const std::string file = directory + "/compose.yaml";
  if (compose.empty()) {
    say(absl::StrCat("docker compose is not installed here: nothing was started. Where it is:\n",
                     "  docker compose -f ", file, " up -d --remove-orphans"));
    return absl::OkStatus();
  }
  VALLM_RETURN_IF_ERROR(Run(compose, {"-f", file, "up", "-d", "--remove-orphans"}, say));
  say(kStarted);
  VALLM_ASSIGN_OR_RETURN(const auto gateway, GatewayOf(deployment, options.serve));
  VALLM_RETURN_IF_ERROR(WaitForInstances(*gateway, options.serve.instances,
                                         absl::Seconds(options.start_timeout_s), say, interrupted));
  say(kRunning);
  return absl::OkStatus();
}

absl::Status StartKubernetes(const DeployOptions& options, const std::string& directory,
                             const Say& say) {
  const std::string overlay = directory + "/overlay";
  if (!Works({"kubectl", "version", "--client"})) {
    say(absl::StrCat("kubectl is not installed here: nothing was applied. Where it is:\n",
                     "  kubectl apply -k ", overlay));
    return absl::OkStatus();
  }
  VALLM_RETURN_IF_ERROR(Run({"kubectl"}, {"apply", "-k", overlay}, say));
  say(absl::StrCat(kStarted, " (runtime k8s: as pods)"));
  for (const char* workload :
       {"statefulset/vallm-engine", "deployment/vallm-tokenizer", "deployment/vallm-gateway"}) {
    VALLM_RETURN_IF_ERROR(
        Run({"kubectl"},
            {"-n", options.k8s_namespace, "rollout", "status", workload,
             absl::StrCat("--timeout=", static_cast<int64_t>(options.start_timeout_s), "s")},
            say));
  }
  say(kRunning);
  return absl::OkStatus();
}

}  // namespace

void CheckContainers(const DeployOptions& options, bool held, Findings& findings) {
  std::error_code error;
  const bool docker = options.runtime == "docker";
  if (!docker && !fs::is_directory(options.serve.engine.model_dir, error)) {
    findings.push_back({.check = "model files",
                        .verdict = Verdict::kWarn,
                        .detail = absl::StrCat(options.serve.engine.model_dir,
                                               " is not on this machine: the model is not checked"),
                        .remedy = {}});
  } else {
    CheckModelFiles(options.serve, findings);
  }
  if (options.serve.engine.device == engine::kMockDevice && docker) {
    findings.push_back({.check = "devices", .detail = "mock", .remedy = {}});
  }
  const auto dies = DiesOf(options);
  if (!dies.ok()) {
    findings.push_back(Failure("devices", dies.status(), "name more, or lower --instance"));
  } else if (docker) {
    for (int32_t die : *dies) {
      const std::string node = absl::StrCat("/dev/vacc", die);
      if (fs::exists(node, error)) continue;
      findings.push_back({.check = "devices",
                          .verdict = Verdict::kFail,
                          .detail = absl::StrCat("there is no ", node),
                          .remedy = "correct --devices, or load the driver"});
    }
  }
  if (!docker) return;
  HostQuestion question;
  if (held) question.held_ports = {options.serve.port, options.serve.management_port};
  CheckPorts(options.serve, question, findings);
}

absl::Status DeployContainers(const Deployment& deployment, const DeployOptions& options,
                              const FlagValues& flags, const Say& say,
                              const std::function<bool()>& interrupted) {
  const std::string directory = OutputDirectory(deployment, options);
  if (options.dry_run) {
    VALLM_ASSIGN_OR_RETURN(const ContainerFiles files, FilesOf(options, ""));
    if (!options.output_dir.empty()) {
      VALLM_RETURN_IF_ERROR(WriteFiles(directory, files));
      say(absl::StrCat("written to ", directory));
    } else {
      for (const auto& [name, text] : files.files) {
        if (name.rfind("base/", 0) != 0) say(absl::StrCat("# ---- ", name, "\n", text));
      }
    }
    say(kDryRun);
    return absl::OkStatus();
  }
  VALLM_RETURN_IF_ERROR(deployment.Make());
  VALLM_ASSIGN_OR_RETURN(const std::string admin_key, deployment.AdminKey());
  VALLM_ASSIGN_OR_RETURN(const ContainerFiles files, FilesOf(options, admin_key));
  VALLM_RETURN_IF_ERROR(WriteFiles(directory, files));
  VALLM_RETURN_IF_ERROR(
      deployment.Write({.runtime = options.runtime, .flags = flags, .engine_ports = {}}));
  say(kUpdated);
  if (options.runtime == "docker") {
    return StartDocker(deployment, options, directory, say, interrupted);
  }
  return StartKubernetes(options, directory, say);
}

absl::Status StopContainers(const Deployment& deployment, const DeploymentRecord& record,
                            const Say& say) {
  VALLM_ASSIGN_OR_RETURN(const DeployOptions options, OptionsOf(record));
  const std::string directory = OutputDirectory(deployment, options);
  if (record.runtime == "k8s") {
    return Run({"kubectl"}, {"delete", "-k", directory + "/overlay", "--ignore-not-found"}, say);
  }
  const std::vector<std::string> compose = ComposeCommand();
  if (compose.empty()) return absl::FailedPreconditionError("docker compose is not installed");
  return Run(compose, {"-f", directory + "/compose.yaml", "down"}, say);
}

absl::Status RestartContainers(const Deployment& deployment, const DeploymentRecord& record,
                               const Say& say) {
  VALLM_ASSIGN_OR_RETURN(const DeployOptions options, OptionsOf(record));
  if (record.runtime == "k8s") {  // pod after pod, each drains first
    return Run({"kubectl"},
               {"-n", options.k8s_namespace, "rollout", "restart", "statefulset/vallm-engine"},
               say);
  }
  const std::vector<std::string> compose = ComposeCommand();
  if (compose.empty()) return absl::FailedPreconditionError("docker compose is not installed");
  const std::string file = OutputDirectory(deployment, options) + "/compose.yaml";
  // One after the other; each finishes or hands over its answers when it is told to stop.
  for (int i = 0; i < options.serve.instances; ++i) {
    VALLM_RETURN_IF_ERROR(Run(compose, {"-f", file, "restart", absl::StrCat("engine-", i)}, say));
  }
  return absl::OkStatus();
}

}  // namespace vallm::tools
