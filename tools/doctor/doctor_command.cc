#include "tools/doctor/doctor_command.h"

#include <unistd.h>

#include <cstdio>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/flags.h"
#include "common/status_macros.h"
#include "tools/deploy/deploy_options.h"
#include "tools/deploy/deployment.h"
#include "tools/deploy/host_children.h"
#include "tools/doctor/finding.h"
#include "tools/doctor/host_checks.h"
#include "tools/doctor/live_checks.h"
#include "tools/doctor/model_checks.h"
#include "tools/http/http_client.h"
#include "tools/serve/probe_targets.h"

namespace vallm::tools {
namespace {

constexpr char kExamples[] =
    "  vallm doctor                                        # the deployment that is there, and it\n"
    "  vallm doctor /models/Qwen3-8B --tensor-parallel-size 4 --max-model-len 131072\n"
    "  vallm doctor --url http://10.0.0.5:8000 --api-key KEY      # a server alone\n"
    "  vallm doctor --record golden.jsonl        # before an upgrade …\n"
    "  vallm doctor --golden golden.jsonl        # … and after it\n";

struct LiveOptions {
  std::string url;
  std::string model;
  std::string golden;
  std::string record;
  bool json = false;
  bool offline = false;
};

struct Subject {
  bool has_model = false;
  bool deployed = false;
  DeployOptions options;
  HostQuestion question;
};

// A deployment that runs holds its own ports and memory.
absl::Status FindDeployment(const CLI::App& app, Subject& subject) {
  VALLM_ASSIGN_OR_RETURN(const std::string root, Deployment::Root(subject.options.state_dir));
  const bool named = app.get_option("--name")->count() > 0;
  if (!named && Deployment::List(root).size() != 1) return absl::OkStatus();
  VALLM_ASSIGN_OR_RETURN(const Deployment deployment,
                         Deployment::Choose(root, named ? subject.options.name : ""));
  VALLM_ASSIGN_OR_RETURN(const DeploymentRecord record, deployment.Read());
  VALLM_ASSIGN_OR_RETURN(subject.options, OptionsOf(record));
  subject.has_model = true;
  subject.deployed = deployment.HasSupervisor();
  subject.question.log_dir = LogDirectory(deployment, subject.options);
  if (subject.deployed) {
    subject.question.held_ports = {subject.options.serve.port,
                                   subject.options.serve.management_port};
    // What runs has its memory: it fits.
    const MemoryNeed need = ExpectedMemory(subject.options.serve);
    subject.question.held_memory_bytes =
        subject.options.serve.instances * (need.weight_bytes + need.kv_bytes);
  }
  return absl::OkStatus();
}

absl::Status Diagnose(Subject& subject, const LiveOptions& live, Findings& findings) {
  ServeOptions& serve = subject.options.serve;
  if (subject.has_model) {
    ShowDevices(subject.options);
    CheckModel(serve, findings);
  }
  if (subject.has_model || live.url.empty()) {
    CheckHost(serve, subject.question, findings);
  }
  std::string url = live.url;
  if (url.empty() && subject.deployed && !SpeaksTls(serve)) {
    url = absl::StrCat("http://", ReachableHost(serve.host), ":", serve.port);
  }
  if (url.empty() || live.offline) return absl::OkStatus();
  VALLM_ASSIGN_OR_RETURN(const Url parsed, ParseUrl(url));
  const Endpoint endpoint(parsed.origin, serve.api_keys.empty() ? "" : serve.api_keys.front());
  if (!live.record.empty()) {
    VALLM_ASSIGN_OR_RETURN(const std::string model, ModelOf(endpoint, live.model));
    VALLM_ASSIGN_OR_RETURN(const int count, RecordGolden(endpoint, model, live.record));
    findings.push_back(
        {.check = "golden", .detail = absl::StrCat(count, " answers written to ", live.record)});
    return absl::OkStatus();
  }
  CheckLive(endpoint, live.model, findings);
  if (live.golden.empty()) return absl::OkStatus();
  VALLM_ASSIGN_OR_RETURN(const std::string model, ModelOf(endpoint, live.model));
  CheckGolden(endpoint, model, live.golden, findings);
  return absl::OkStatus();
}

}  // namespace

int RunDoctor(int argc, char** argv) {
  Subject subject;
  LiveOptions live;
  FlagParser flags("vallm doctor",
                   "Checks a model with its flags, this machine, and a live server. Takes every "
                   "flag of `vallm deploy`; without a model, it looks at the deployment that is "
                   "there. Exit code 1: something FAILs.",
                   kExamples);
  AddDeployFlags(flags.app(), subject.options);
  flags.app().get_option("--model")->required(false);
  flags.app().add_option("--url", live.url, "A server to ask, e.g. http://127.0.0.1:8000");
  flags.app().add_option("--live-model", live.model,
                         "Name of the model there (default: the first that it lists)");
  flags.app().add_option("--golden", live.golden,
                         "Requests with the answers that the server must give, of --record");
  flags.app().add_option("--record", live.record, "Write such a file with the server's answers");
  flags.app().add_flag("--offline", live.offline, "Ask no server");
  flags.app().add_flag("--json", live.json, "Print JSON");
  if (auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  absl::Status status;
  if (!subject.options.serve.engine.model_dir.empty()) {
    subject.has_model = true;
    status = FinishDeployOptions(flags.app(), subject.options);
  } else if (live.url.empty()) {
    status = FindDeployment(flags.app(), subject);
  }
  Findings findings;
  if (status.ok()) status = Diagnose(subject, live, findings);
  if (!status.ok()) {
    std::fprintf(stderr, "vallm doctor: %s\n", std::string(status.message()).c_str());
    return absl::IsInvalidArgument(status) ? 2 : 1;
  }
  const std::string text =
      live.json ? FindingsJson(findings) : FindingsTable(findings, isatty(STDOUT_FILENO) != 0);
  std::fputs(text.c_str(), stdout);
  return AnyFailed(findings) ? 1 : 0;
}

}  // namespace vallm::tools
