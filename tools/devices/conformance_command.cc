#include "tools/devices/conformance_command.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/flags.h"
#include "common/status_macros.h"
#include "common/usable_cores.h"
#include "engine_service/device/conformance/conformance.h"

namespace vallm::tools {
namespace {

using engine::VaccPlugin;
using engine::conformance::Outcome;
using engine::conformance::Result;
using nlohmann::ordered_json;

constexpr char kProgram[] = "vallm device-conformance";

struct ConformanceFlags {
  std::string plugin;  // a path, "cpu", or empty: the one that --device vacc would take
  int die = 0;
  int threads = 1;
  engine::conformance::Options options;
  bool json = false;
  bool list = false;
};

void AddFlags(CLI::App& app, ConformanceFlags& flags) {
  app.add_option("PLUGIN", flags.plugin,
                 "The plug-in's file, or cpu: the CPU device of this program (default: the plug-in "
                 "that --device vacc would take)");
  app.add_option("--die", flags.die, "Die to run on; all-reduce takes those behind it as well")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--threads", flags.threads, "Host threads that the device may keep busy")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--filter", flags.options.filter, "Only checks whose name contains this text");
  app.add_flag("--quick", flags.options.quick, "Leave out the checks with matrices of full size");
  app.add_flag("--bf16-products", flags.options.bf16_products,
               "Tolerances of a device that rounds what it multiplies to bf16");
  app.add_flag("--json", flags.json, "Print one JSON object instead of the table");
  app.add_flag("--list", flags.list, "Print the names of the checks and run none");
}

const char* OutcomeName(Outcome outcome) {
  switch (outcome) {
    case Outcome::kPassed:
      return "pass";
    case Outcome::kFailed:
      return "FAIL";
    case Outcome::kSkipped:
      return "skip";
  }
  return "?";
}

// One line of the table; what went wrong follows on the next.
void PrintResult(const Result& result) {
  std::string error;
  if (result.error.has_value()) {
    error = absl::StrFormat("%8.1e of %.0e", *result.error, *result.tolerance);
  }
  std::printf("%s\n", absl::StrFormat("%-4s  %-78s %17s %7.2f s", OutcomeName(result.outcome),
                                      result.name, error, result.seconds)
                          .c_str());
  if (!result.detail.empty()) std::printf("      %s\n", result.detail.c_str());
  std::fflush(stdout);
}

// On a terminal, what runs; a plug-in that crashes leaves the line standing.
class RunningLine {
 public:
  RunningLine() : terminal_(isatty(STDERR_FILENO) != 0) {}
  void Show(const std::string& name, int64_t index, int64_t count) const {
    if (!terminal_) return;
    std::fprintf(stderr, "\r%s\033[K",
                 absl::StrFormat("[%d/%d] %s", index + 1, count, name).c_str());
    std::fflush(stderr);
  }
  void Clear() const {
    if (terminal_) std::fprintf(stderr, "\r\033[K");
  }

 private:
  const bool terminal_;
};

struct Counts {
  int64_t passed = 0, failed = 0, skipped = 0;
};

Counts Count(const std::vector<Result>& results) {
  Counts counts;
  for (const Result& result : results) {
    if (result.outcome == Outcome::kPassed) ++counts.passed;
    if (result.outcome == Outcome::kFailed) ++counts.failed;
    if (result.outcome == Outcome::kSkipped) ++counts.skipped;
  }
  return counts;
}

// NaN and infinity have no JSON.
ordered_json Number(double value) {
  return std::isfinite(value) ? ordered_json(value) : ordered_json(absl::StrCat(value).c_str());
}

ordered_json ToJson(const std::string& device, const std::vector<Result>& results) {
  ordered_json checks = ordered_json::array();
  for (const Result& result : results) {
    ordered_json check = {{"name", result.name}};
    check["outcome"] = result.outcome == Outcome::kFailed ? "fail" : OutcomeName(result.outcome);
    if (result.error.has_value()) check["error"] = Number(*result.error);
    if (result.tolerance.has_value()) check["tolerance"] = Number(*result.tolerance);
    if (!result.detail.empty()) check["detail"] = result.detail;
    check["seconds"] = result.seconds;
    checks.push_back(std::move(check));
  }
  const Counts counts = Count(results);
  return {{"device", device},
          {"passed", counts.passed},
          {"failed", counts.failed},
          {"skipped", counts.skipped},
          {"checks", checks}};
}

struct NamedTarget {
  std::string name;
  engine::conformance::Target target;
};

absl::StatusOr<NamedTarget> OpenTarget(const ConformanceFlags& flags) {
  if (flags.plugin == "cpu") {
    if (flags.die != 0) return absl::InvalidArgumentError("--die: device cpu has no dies");
    return NamedTarget{"cpu", engine::conformance::CpuTarget(flags.threads)};
  }
  // A bare file name is a file here, not one of the system's libraries.
  const bool bare = !flags.plugin.empty() && flags.plugin.find('/') == std::string::npos;
  VALLM_ASSIGN_OR_RETURN(const auto plugin,
                         flags.plugin.empty()
                             ? VaccPlugin::Find()
                             : VaccPlugin::Load(bare ? "./" + flags.plugin : flags.plugin));
  NamedTarget named;
  named.name = absl::StrCat(plugin->name(), " ", plugin->version(), ", die ", flags.die);
  VALLM_ASSIGN_OR_RETURN(named.target,
                         engine::conformance::PluginTarget(plugin, flags.die, flags.threads));
  return named;
}

absl::StatusOr<Counts> RunAll(const ConformanceFlags& flags) {
  VALLM_ASSIGN_OR_RETURN(const NamedTarget named, OpenTarget(flags));
  if (!flags.json) std::printf("%s\n", named.name.c_str());
  const RunningLine line;
  engine::conformance::Progress progress;
  progress.before = [&](const std::string& name, int64_t index, int64_t count) {
    line.Show(name, index, count);
  };
  progress.after = [&](const Result& result) {
    line.Clear();
    if (!flags.json) PrintResult(result);
  };
  const std::vector<Result> results =
      engine::conformance::RunChecks(named.target, flags.options, progress);
  const Counts counts = Count(results);
  if (flags.json) {
    std::printf("%s\n", ToJson(named.name, results)
                            .dump(2, ' ', false, ordered_json::error_handler_t::replace)
                            .c_str());
  } else {
    std::printf("%s\n", absl::StrFormat("%d passed, %d failed, %d skipped", counts.passed,
                                        counts.failed, counts.skipped)
                            .c_str());
  }
  if (results.empty()) return absl::NotFoundError("--filter: no check has such a name; see --list");
  return counts;
}

}  // namespace

int RunDeviceConformance(int argc, char** argv) {
  ConformanceFlags flags;
  FlagParser parser(kProgram,
                    "Runs every operation of a device plug-in on shapes of real models and on edge "
                    "cases, against "
                    "double precision and against the laws of exactness. See docs/vacc-plugin.md.",
                    "  vallm device-conformance ./libvallm_vacc.so --quick\n"
                    "  vallm device-conformance ./libvallm_vacc.so --die 3 --filter mat_mul/tree\n"
                    "  vallm device-conformance cpu --json > report.json\n");
  AddFlags(parser.app(), flags);
  if (auto exit_code = parser.Parse(argc, argv)) return *exit_code;
  if (flags.list) {
    for (const std::string& name : engine::conformance::CheckNames(flags.options)) {
      std::printf("%s\n", name.c_str());
    }
    return 0;
  }
  const absl::StatusOr<Counts> counts = RunAll(flags);
  if (counts.ok()) return counts->failed == 0 ? 0 : 1;
  std::fprintf(stderr, "%s: %s\n", kProgram, std::string(counts.status().message()).c_str());
  return 1;
}

}  // namespace vallm::tools
