#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/flags.h"
#include "common/signals.h"
#include "common/status_macros.h"
#include "tools/deploy/container_runtime.h"
#include "tools/deploy/deploy_options.h"
#include "tools/deploy/deployment.h"
#include "tools/deploy/host_runtime.h"
#include "tools/deploy/operation_commands.h"
#include "tools/deploy/rollout.h"
#include "tools/deploy/supervisor_client.h"

namespace vallm::tools {
namespace {

constexpr char kStopExamples[] =
    "  vallm stop                   # answers that are under way end first\n"
    "  vallm stop Qwen3 --now       # at once\n"
    "  vallm stop Qwen3 --purge     # and forget it: configuration and logs\n";
constexpr char kRestartExamples[] =
    "  vallm restart --rolling                # one instance at a time, no request fails\n"
    "  vallm restart --service engine-1       # only this one\n"
    "  vallm restart                          # everything, also a deployment that is stopped\n";

struct Options {
  std::string name;
  std::string state_dir;
  bool now = false;
  bool purge = false;
  bool rolling = false;
  std::vector<std::string> services;
  double start_timeout_s = 3600;
};

void Print(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

bool Interrupted() {
  static bool interrupted = false;
  interrupted = interrupted || WaitForTermination(absl::ZeroDuration()).has_value();
  return interrupted;
}

int Finish(const char* program, const absl::Status& status) {
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s: %s\n", program, std::string(status.message()).c_str());
  if (absl::IsCancelled(status)) return 130;
  return absl::IsInvalidArgument(status) ? 2 : 1;
}

void AddCommonFlags(CLI::App& app, Options& options) {
  app.add_option("NAME", options.name, "The deployment (default: the only one)");
  app.add_option("--state-dir", options.state_dir, "Where deployments are kept");
}

absl::StatusOr<std::unique_ptr<FileLock>> Lock(const Deployment& deployment) {
  auto lock = FileLock::Take(deployment.File("operation.lock"));
  if (absl::IsAlreadyExists(lock.status())) {
    return absl::FailedPreconditionError(absl::StrCat("another command is changing deployment ",
                                                      deployment.name(), "; wait for its end"));
  }
  return lock;
}

absl::Status Stop(const Options& options) {
  VALLM_ASSIGN_OR_RETURN(const std::string root, Deployment::Root(options.state_dir));
  VALLM_ASSIGN_OR_RETURN(const Deployment deployment, Deployment::Choose(root, options.name));
  VALLM_ASSIGN_OR_RETURN(const DeploymentRecord record, deployment.Read());
  // Not locked: it has to be possible to stop what another command waits for.
  if (record.runtime != "host") {
    VALLM_RETURN_IF_ERROR(StopContainers(deployment, record, Print));
  } else if (deployment.HasSupervisor()) {
    Print(absl::StrCat("stopping ", deployment.name(),
                       options.now ? "" : "; answers that are under way end first"));
    const absl::Time begin = absl::Now();
    VALLM_RETURN_IF_ERROR(StopSupervisor(deployment, options.now, [] { return !Interrupted(); }));
    Print(absl::StrCat(
        deployment.name(), " stopped after ",
        absl::FormatDuration(absl::Trunc(absl::Now() - begin, absl::Milliseconds(100)))));
  } else {
    Print(absl::StrCat(deployment.name(), " does not run"));
  }
  if (!options.purge) return absl::OkStatus();
  std::error_code error;
  std::filesystem::remove_all(deployment.directory(), error);
  if (error) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot remove ", deployment.directory(), ": ", error.message()));
  }
  Print(absl::StrCat("removed ", deployment.directory()));
  return absl::OkStatus();
}

// The services named, or all but the gateway, one after the other. The gateway has a copy of the
// tokenizer for small prompts, and asks again for large ones.
absl::Status RestartServices(const DeploymentRecord& record, const Options& options,
                             Rollout& rollout) {
  std::vector<std::string> engines;
  for (size_t i = 0; i < record.engine_ports.size(); ++i) {
    engines.push_back(absl::StrCat("engine-", i));
  }
  if (options.services.empty()) {
    if (engines.size() == 1) {
      Print(
          "  there is one instance: requests wait while it restarts, and fail if that takes long");
    }
    VALLM_RETURN_IF_ERROR(rollout.RestartEngines(engines));
    return rollout.Restart("tokenizer");
  }
  for (const std::string& service : options.services) {
    const bool engine = std::find(engines.begin(), engines.end(), service) != engines.end();
    VALLM_RETURN_IF_ERROR(engine ? rollout.RestartEngines({service}) : rollout.Restart(service));
  }
  return absl::OkStatus();
}

absl::Status Restart(const Options& options) {
  VALLM_ASSIGN_OR_RETURN(const std::string root, Deployment::Root(options.state_dir));
  VALLM_ASSIGN_OR_RETURN(const Deployment deployment, Deployment::Choose(root, options.name));
  VALLM_ASSIGN_OR_RETURN(const auto lock, Lock(deployment));
  VALLM_ASSIGN_OR_RETURN(const DeploymentRecord record, deployment.Read());
  if (record.runtime != "host") return RestartContainers(deployment, record, Print);
  VALLM_ASSIGN_OR_RETURN(const DeployOptions deploy, OptionsOf(record));
  VALLM_ASSIGN_OR_RETURN(const auto gateway, GatewayOf(deployment, deploy.serve));
  Rollout rollout(deployment, *gateway,
                  {.start_timeout = absl::Seconds(options.start_timeout_s),
                   .drain_timeout = absl::Seconds(deploy.serve.drain_timeout_s),
                   .say = Print,
                   .interrupted = Interrupted});
  const bool running = deployment.HasSupervisor();
  if (options.rolling || !options.services.empty()) {
    if (!running) {
      return absl::FailedPreconditionError(absl::StrCat(
          deployment.name(), " does not run; `vallm restart` without --rolling starts it"));
    }
    VALLM_RETURN_IF_ERROR(RestartServices(record, options, rollout));
  } else {
    if (running) {
      Print(absl::StrCat("stopping ", deployment.name()));
      VALLM_RETURN_IF_ERROR(StopSupervisor(deployment, options.now, [] { return !Interrupted(); }));
    }
    VALLM_RETURN_IF_ERROR(StartSupervisor(deployment));
  }
  VALLM_RETURN_IF_ERROR(rollout.WaitUntilServing());
  Print("All instances are up and running");
  return absl::OkStatus();
}

}  // namespace

int RunStop(int argc, char** argv) {
  BlockTerminationSignals();
  Options options;
  FlagParser flags("vallm stop", "Stops a deployment. Nothing of it is left running.",
                   kStopExamples);
  AddCommonFlags(flags.app(), options);
  flags.app().add_flag("--now", options.now, "Do not wait for answers that are under way");
  flags.app().add_flag("--purge", options.purge, "Remove its directory, logs included");
  if (auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  return Finish("vallm stop", Stop(options));
}

int RunRestart(int argc, char** argv) {
  BlockTerminationSignals();
  Options options;
  FlagParser flags("vallm restart", "Restarts a deployment, with what it was deployed with.",
                   kRestartExamples);
  AddCommonFlags(flags.app(), options);
  flags.app().add_flag("--rolling", options.rolling,
                       "One instance at a time: the gateway sends it nothing more, its requests "
                       "end, it restarts; then the tokenizer. The gateway keeps running");
  flags.app().add_option("--service", options.services,
                         "Restart only this one (tokenizer, engine-0, …, gateway); repeatable");
  flags.app().add_flag("--now", options.now, "Do not wait for answers that are under way");
  flags.app()
      .add_option("--start-timeout", options.start_timeout_s,
                  "Seconds after which a service that does not serve yet is an error")
      ->check(Timeout())
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  if (auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  return Finish("vallm restart", Restart(options));
}

}  // namespace vallm::tools
