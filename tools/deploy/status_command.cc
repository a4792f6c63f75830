#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/flags.h"
#include "common/signals.h"
#include "common/status_macros.h"
#include "tools/deploy/deployment.h"
#include "tools/deploy/deployment_status.h"
#include "tools/deploy/operation_commands.h"

namespace vallm::tools {
namespace {

using nlohmann::ordered_json;

constexpr int kNotServing = 3;
constexpr char kExamples[] =
    "  vallm status                 # all deployments of this user\n"
    "  vallm status Qwen3 --json\n"
    "  vallm status --watch 2\n";

struct Options {
  std::string name;
  std::string state_dir;
  bool json = false;
  double watch_s = 0;
};

// The exit code.
absl::StatusOr<int> Show(const Options& options) {
  VALLM_ASSIGN_OR_RETURN(const std::string root, Deployment::Root(options.state_dir));
  std::vector<std::string> names = Deployment::List(root);
  if (!options.name.empty()) {
    VALLM_RETURN_IF_ERROR(Deployment::Choose(root, options.name).status());
    names = {options.name};
  }
  ordered_json list = ordered_json::array();
  std::string text;
  bool all_serve = true;
  for (const std::string& name : names) {
    VALLM_ASSIGN_OR_RETURN(const Deployment deployment, Deployment::At(root, name));
    VALLM_ASSIGN_OR_RETURN(const DeploymentStatus status, StatusOf(deployment));
    all_serve &= status.state == "serving";
    list.push_back(StatusJson(status));
    absl::StrAppend(&text, text.empty() ? "" : "\n", StatusTable(status, absl::Now()));
  }
  if (options.json) {
    text = (options.name.empty() ? list : list.front())
               .dump(2, ' ', false, ordered_json::error_handler_t::replace) +
           "\n";
  } else if (names.empty()) {
    text = absl::StrCat("no deployment in ", root, "; `vallm deploy` makes one\n");
  }
  if (options.watch_s > 0) std::fputs("\033[H\033[J", stdout);
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
  return all_serve ? 0 : kNotServing;
}

}  // namespace

int RunStatus(int argc, char** argv) {
  BlockTerminationSignals();
  Options options;
  FlagParser flags("vallm status",
                   "Shows deployments: their services, processes, restarts, and what the gateway "
                   "says of each instance. Exit code 3: something does not serve.",
                   kExamples);
  flags.app().add_option("NAME", options.name, "The deployment (default: all)");
  flags.app().add_flag("--json", options.json, "Print JSON");
  flags.app()
      .add_option("--watch", options.watch_s, "Show it again every so many seconds")
      ->check(Timeout());
  flags.app().add_option("--state-dir", options.state_dir, "Where deployments are kept");
  if (auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  while (true) {
    const auto shown = Show(options);
    if (!shown.ok()) {
      std::fprintf(stderr, "vallm status: %s\n", std::string(shown.status().message()).c_str());
      return absl::IsInvalidArgument(shown.status()) ? 2 : 1;
    }
    if (options.watch_s == 0) return *shown;
    if (WaitForTermination(absl::Seconds(options.watch_s)).has_value()) return *shown;
  }
}

}  // namespace vallm::tools
