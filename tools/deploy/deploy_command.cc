#include "tools/deploy/deploy_command.h"

#include <unistd.h>

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/flags.h"
#include "common/signals.h"
#include "common/status_macros.h"
#include "tools/deploy/container_runtime.h"
#include "tools/deploy/deploy_options.h"
#include "tools/deploy/deployment.h"
#include "tools/deploy/host_runtime.h"
#include "tools/deploy/rollout.h"
#include "tools/deploy/smoke_benchmark.h"
#include "tools/deploy/supervisor_client.h"
#include "tools/doctor/finding.h"
#include "tools/serve/probe_targets.h"
#include "tools/serve/service_summary.h"

namespace vallm::tools {
namespace {

constexpr char kExamples[] =
    "  vallm deploy --model /models/Qwen3-30B-A3B-FP8 --served-model-name Qwen3 \\\n"
    "    --instance 2 --tensor-parallel-size 2 --port 8000 --management-port 9000 \\\n"
    "    --max-model-len 65536 --enable-qwen3-rope-scaling --enable-reasoning \\\n"
    "    --reasoning-parser qwen3 --enable-auto-tool-choice --tool-call-parser hermes\n"
    "  vallm deploy --config deploy.yaml --dry-run     # checks, and what would be done\n"
    "  vallm deploy --config deploy.yaml               # again after a change: applies it\n"
    "  vallm status; vallm logs -f 0; vallm restart --rolling; vallm stop\n"
    "  vallm deploy --model /models/Qwen3-8B --image vallm:1.0 --instance 1\n";

// What the scripts of the vendor's users look for in the output.
constexpr char kUpdated[] = "Deployment configuration updated successfully.";
constexpr char kStarted[] = "Docker containers started successfully.";
constexpr char kRunning[] = "All instances are up and running";
constexpr char kDryRun[] = "Dry run mode enabled. Exiting without starting the service.";
constexpr char kFailed[] = "Service check failed, please check your configurations.";

void Print(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

// Whether SIGINT or SIGTERM has come; stays true.
bool Interrupted() {
  static bool interrupted = false;
  interrupted = interrupted || WaitForTermination(absl::ZeroDuration()).has_value();
  return interrupted;
}

// Whose ports are taken by a deployment of ours, by name: the usual reason for a port in use.
std::string HolderOfPort(const std::string& root, const std::string& self, int port) {
  for (const std::string& name : Deployment::List(root)) {
    const auto other = Deployment::At(root, name);
    if (!other.ok() || name == self || !other->HasSupervisor()) continue;
    const auto record = other->Read();
    const auto options = record.ok() ? OptionsOf(*record) : record.status();
    if (!options.ok()) continue;
    if (options->serve.port == port || options->serve.management_port == port) return name;
  }
  return "";
}

class Deploy {
 public:
  Deploy(DeployOptions options, FlagValues flags)
      : options_(std::move(options)), flags_(std::move(flags)) {}

  absl::Status Run() {
    VALLM_ASSIGN_OR_RETURN(root_, Deployment::Root(options_.state_dir));
    VALLM_ASSIGN_OR_RETURN(const Deployment deployment, Deployment::At(root_, options_.name));
    return options_.runtime == "host" ? RunHost(deployment) : RunContainers(deployment);
  }

 private:
  absl::Status RunHost(const Deployment& deployment) {
    std::unique_ptr<FileLock> lock;
    if (!options_.dry_run) {
      VALLM_RETURN_IF_ERROR(deployment.Make());
      VALLM_ASSIGN_OR_RETURN(lock, TakeOperationLock(deployment));
    }
    Findings findings;
    VALLM_ASSIGN_OR_RETURN(const HostPlan plan, PlanHost(deployment, options_, flags_, findings));
    VALLM_RETURN_IF_ERROR(ShowFindings(findings));
    const std::string description = DescribePlan(plan);
    Print(absl::StrFormat("deployment %s: %s on %s, %d instance(s) x tensor parallel %d",
                          deployment.name(), options_.serve.served_model_names.front(),
                          options_.serve.engine.device, options_.serve.instances,
                          options_.serve.engine.tensor_parallel_size));
    std::fputs(description.c_str(), stdout);
    if (options_.dry_run) {
      Print(kDryRun);
      return absl::OkStatus();
    }
    Print(kUpdated);
    VALLM_ASSIGN_OR_RETURN(const auto gateway, GatewayOf(deployment, options_.serve));
    Rollout rollout(deployment, *gateway,
                    {.start_timeout = absl::Seconds(options_.start_timeout_s),
                     .drain_timeout = absl::Seconds(options_.serve.drain_timeout_s),
                     .say = Print,
                     .interrupted = Interrupted});
    const absl::Time begin = absl::Now();
    VALLM_RETURN_IF_ERROR(CarryOut(deployment, options_, plan, rollout, Print));
    Print(absl::StrCat(kStarted, " (runtime host: as processes)"));
    const absl::Status serving = rollout.WaitUntilServing();
    if (!serving.ok()) {
      if (absl::IsCancelled(serving)) return serving;
      Print(kFailed);
      if (!plan.running) {
        StopSupervisor(deployment, /*now=*/true, [] { return true; }).IgnoreError();
      }
      return serving;
    }
    Print(kRunning);
    PrintSummary(deployment, plan, begin);
    return Benchmark();
  }

  absl::Status RunContainers(const Deployment& deployment) {
    Findings findings;
    CheckContainers(options_, /*held=*/deployment.Read().ok(), findings);
    VALLM_RETURN_IF_ERROR(ShowFindings(findings));
    VALLM_RETURN_IF_ERROR(DeployContainers(deployment, options_, flags_, Print, Interrupted));
    return options_.dry_run || options_.runtime == "k8s" ? absl::OkStatus() : Benchmark();
  }

  static absl::StatusOr<std::unique_ptr<FileLock>> TakeOperationLock(const Deployment& deployment) {
    auto lock = FileLock::Take(deployment.File("operation.lock"));
    if (absl::IsAlreadyExists(lock.status())) {
      return absl::FailedPreconditionError(absl::StrCat("another command is changing deployment ",
                                                        deployment.name(), "; wait for its end"));
    }
    return lock;
  }

  // Everything that is wrong at once, so that it can be put right at once.
  absl::Status ShowFindings(const Findings& findings) {
    Findings shown;
    for (const Finding& finding : findings) {
      if (finding.verdict == Verdict::kPass && !options_.dry_run) continue;
      shown.push_back(finding);
      if (finding.check != "ports" || finding.verdict != Verdict::kFail) continue;
      for (int port : {options_.serve.port, options_.serve.management_port}) {
        const std::string holder = HolderOfPort(root_, options_.name, port);
        const std::string about = absl::StrCat("port ", port, " ");
        if (holder.empty() || finding.detail.find(about) == std::string::npos) continue;
        shown.back().remedy =
            absl::StrCat("deployment ", holder, " has port ", port, ": `vallm stop ", holder,
                         "`, `--name ", holder, "` to change it, or other ports");
      }
    }
    std::fputs(FindingsTable(shown, isatty(STDERR_FILENO) != 0).c_str(),
               options_.dry_run ? stdout : stderr);
    if (!AnyFailed(findings)) return absl::OkStatus();
    return absl::InvalidArgumentError("nothing was changed: put right what FAILs first");
  }

  void PrintSummary(const Deployment& deployment, const HostPlan& plan, absl::Time begin) {
    const auto line = [](const char* name, const std::string& value) {
      std::printf("  %-12s %s\n", name, value.c_str());
    };
    std::printf("ready after %.1f s\n", absl::ToDoubleSeconds(absl::Now() - begin));
    std::fputs(
        ServiceSummary(options_.serve, {plan.record.tokenizer_port, plan.record.engine_ports})
            .c_str(),
        stdout);
    line("admin key", deployment.File("admin-key"));
    line("logs",
         absl::StrCat("vallm logs -f ", deployment.name(), "   (",
                      options_.log_dir.empty() ? deployment.File("logs") : options_.log_dir, ")"));
    line("status", absl::StrCat("vallm status ", deployment.name()));
    line("stop", absl::StrCat("vallm stop ", deployment.name()));
    std::fflush(stdout);
  }

  absl::Status Benchmark() {
    if (!options_.enable_benchmark) return absl::OkStatus();
    if (SpeaksTls(options_.serve)) {
      Print("no benchmark: the API speaks TLS; use `vallm bench`");
      return absl::OkStatus();
    }
    Print("Starting benchmark...");
    const auto result = RunSmokeBenchmark(
        {.origin =
             absl::StrCat("http://", ReachableHost(options_.serve.host), ":", options_.serve.port),
         .api_key = options_.serve.api_keys.empty() ? "" : options_.serve.api_keys.front(),
         .model = options_.serve.served_model_names.front(),
         .count = options_.benchmark_count,
         .say = Print});
    if (!result.ok()) {
      return absl::Status(result.status().code(),
                          absl::StrCat("benchmark: ", result.status().message()));
    }
    Print("Benchmark results:");
    Print(absl::StrFormat("Average time to first token (TTFT): %.3f seconds",
                          absl::ToDoubleSeconds(result->mean_first_token)));
    Print(absl::StrFormat("Average output tokens(TPOT): %.2f", result->tokens_per_second));
    return absl::OkStatus();
  }

  const DeployOptions options_;
  const FlagValues flags_;
  std::string root_;
};

}  // namespace

int RunDeploy(int argc, char** argv) {
  BlockTerminationSignals();
  DeployOptions options;
  FlagParser flags("vallm deploy",
                   "Puts a model into service on this machine and keeps it there: checks "
                   "everything first, starts the services in the background, and waits until every "
                   "instance serves. Run it again with other flags to change a deployment.",
                   kExamples);
  AddDeployFlags(flags.app(), options);
  if (auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  absl::Status status = FinishDeployOptions(flags.app(), options);
  if (status.ok()) {
    FlagValues given = GivenFlags(flags.app(), options);
    status = Deploy(std::move(options), std::move(given)).Run();
  }
  if (status.ok()) return 0;
  std::fprintf(stderr, "vallm deploy: %s\n", std::string(status.message()).c_str());
  if (absl::IsCancelled(status)) {
    std::fprintf(stderr,
                 "what was begun goes on in the background: `vallm status`, `vallm stop`\n");
    return 130;
  }
  return absl::IsInvalidArgument(status) ? 2 : 1;
}

}  // namespace vallm::tools
