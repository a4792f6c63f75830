#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/flags.h"
#include "common/signals.h"
#include "common/status_macros.h"
#include "tools/deploy/deploy_options.h"
#include "tools/deploy/deployment.h"
#include "tools/deploy/host_children.h"
#include "tools/deploy/log_follower.h"
#include "tools/deploy/operation_commands.h"

namespace vallm::tools {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(100);
constexpr char kExamples[] =
    "  vallm logs -f                # everything, as it comes\n"
    "  vallm logs -f 0              # llm_serve_0.log, the log of instance 0\n"
    "  vallm logs gateway -n 200\n"
    "  vallm logs supervisor        # starts, ends and restarts of the processes\n";

struct Options {
  std::vector<std::string> services;
  std::string name;
  std::string state_dir;
  bool follow = false;
  int lines = 20;
};

struct Source {
  std::string label;
  LogFollower follower;
};

// "0", "engine-0", "llm_serve_0" and "llm_serve_0.log" are the same.
std::string ServiceOf(std::string name) {
  if (name.size() > 4 && name.substr(name.size() - 4) == ".log") name.resize(name.size() - 4);
  if (name.rfind("llm_serve_", 0) == 0) name = name.substr(10);
  const bool number = !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isdigit(c) != 0;
  });
  return number ? "engine-" + name : name;
}

absl::StatusOr<std::vector<Source>> Sources(const Options& options) {
  VALLM_ASSIGN_OR_RETURN(const std::string root, Deployment::Root(options.state_dir));
  VALLM_ASSIGN_OR_RETURN(const Deployment deployment, Deployment::Choose(root, options.name));
  VALLM_ASSIGN_OR_RETURN(const DeploymentRecord record, deployment.Read());
  if (record.runtime != "host") {
    return absl::FailedPreconditionError(
        absl::StrCat("deployment ", deployment.name(), " is of runtime ", record.runtime, ": ",
                     record.runtime == "docker" ? "docker compose logs -f" : "kubectl logs -f",
                     " shows its logs"));
  }
  VALLM_ASSIGN_OR_RETURN(const DeployOptions deploy, OptionsOf(record));
  const std::string directory = LogDirectory(deployment, deploy);
  std::vector<std::string> known = {"supervisor", "tokenizer"};
  for (int i = 0; i < deploy.serve.instances; ++i) known.push_back(absl::StrCat("engine-", i));
  known.push_back("gateway");
  std::vector<std::string> wanted;
  for (const std::string& given : options.services) {
    wanted.push_back(ServiceOf(given));
    if (std::find(known.begin(), known.end(), wanted.back()) == known.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("there is no service '", given, "'; there is ", absl::StrJoin(known, ", ")));
    }
  }
  if (wanted.empty()) wanted = known;
  std::vector<Source> sources;
  for (const std::string& service : wanted) {
    const std::string path = service == "supervisor"
                                 ? deployment.File("logs/supervisor.log")
                                 : absl::StrCat(directory, "/", LogName(service));
    std::string label = LogName(service);
    label.resize(label.size() - 4);
    sources.push_back({wanted.size() == 1 ? "" : label + " | ", LogFollower(path, options.lines)});
  }
  return sources;
}

}  // namespace

int RunLogs(int argc, char** argv) {
  BlockTerminationSignals();
  Options options;
  FlagParser flags("vallm logs", "Shows the logs of a deployment's services.", kExamples);
  flags.app().add_option("SERVICE", options.services,
                         "Number of an instance, gateway, tokenizer or supervisor (default: all)");
  flags.app().add_option("--name", options.name, "The deployment (default: the only one)");
  flags.app().add_flag("-f,--follow", options.follow, "Go on as the logs grow, until Ctrl-C");
  flags.app()
      .add_option("-n,--lines", options.lines, "Lines to begin with; -1: all")
      ->check(CLI::Range(-1, 1 << 30))
      ->capture_default_str();
  flags.app().add_option("--state-dir", options.state_dir, "Where deployments are kept");
  if (auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  auto sources = Sources(options);
  if (!sources.ok()) {
    std::fprintf(stderr, "vallm logs: %s\n", std::string(sources.status().message()).c_str());
    return absl::IsInvalidArgument(sources.status()) ? 2 : 1;
  }
  do {
    for (Source& source : *sources) {
      source.follower.Read([&source](std::string_view line) {
        std::printf("%s%.*s\n", source.label.c_str(), static_cast<int>(line.size()), line.data());
      });
    }
    if (std::fflush(stdout) != 0) return 0;  // who reads it has gone
  } while (options.follow && !WaitForTermination(kTick).has_value());
  return 0;
}

}  // namespace vallm::tools
