#include "tools/bench/compare_command.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/flags.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"
#include "tools/bench/comparison.h"

namespace vallm::tools {
namespace {

using Json = nlohmann::ordered_json;
using Results = std::vector<ComparedResult>;
namespace fs = std::filesystem;

constexpr char kProgram[] = "vallm bench compare";
constexpr char kExamples[] =
    "  vallm bench compare before.json after.json\n"
    "  vallm bench compare runs-a/ runs-b/           # repeats of a workload, or whole sweeps\n"
    "  vallm bench compare main/ branch/ --fail-if-worse 5   # in CI: exit code 3\n";

struct Options {
  std::string a;
  std::string b;
  BootstrapOptions bootstrap;
  std::optional<double> fail_if_worse_percent;
  bool json = false;
};

absl::StatusOr<Json> ReadJson(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return absl::InvalidArgumentError(path + " is not JSON");
  return json;
}

// The results at `path`: a file, or those directly in a folder.
absl::StatusOr<Results> Load(const std::string& path) {
  Results results;
  if (!fs::is_directory(path)) {
    VALLM_ASSIGN_OR_RETURN(const Json json, ReadJson(path));
    VALLM_ASSIGN_OR_RETURN(ComparedResult result, ToComparedResult(path, json));
    results.push_back(std::move(result));
    return results;
  }
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    const auto json = ReadJson(file.string());
    if (!json.ok()) continue;
    auto result = ToComparedResult(file.string(), *json);
    if (result.ok()) results.push_back(*std::move(result));
  }
  if (results.empty()) return absl::InvalidArgumentError(path + " has no results");
  return results;
}

std::map<std::string, Results> ByWorkload(Results results) {
  std::map<std::string, Results> groups;
  for (ComparedResult& result : results) groups[result.workload].push_back(std::move(result));
  return groups;
}

const char* Verdict(const ComparedFigure& figure) {
  if (!figure.interval.has_value()) return "";
  if (figure.better()) return "better";
  return figure.worse() ? "WORSE" : "no difference seen";
}

std::string IntervalText(const ComparedFigure& figure) {
  if (!figure.interval.has_value()) return "";
  return absl::StrFormat("[%+.1f %%, %+.1f %%]", 100 * figure.interval->low,
                         100 * figure.interval->high);
}

void Print(const Comparison& comparison) {
  std::printf("\n%s\n%s\n", comparison.workload.c_str(), comparison.basis.c_str());
  std::printf("%-34s %11s %11s %11s  %-20s\n", "", "A", "B", "difference", "interval");
  for (const ComparedFigure& figure : comparison.figures) {
    std::string note = Verdict(figure);
    if (!figure.note.empty()) note += absl::StrCat(note.empty() ? "(" : " (", figure.note, ")");
    std::printf("%-34s %11.2f %11.2f %+9.1f %%  %-20s  %s\n", figure.name.c_str(), figure.a,
                figure.b, 100 * figure.difference(), IntervalText(figure).c_str(), note.c_str());
  }
}

Json ToJson(const Comparison& comparison) {
  Json figures = Json::array();
  for (const ComparedFigure& figure : comparison.figures) {
    Json entry = {{"figure", figure.name}, {"a", figure.a},
                  {"b", figure.b},         {"difference", figure.difference()},
                  {"interval", nullptr},   {"verdict", Verdict(figure)}};
    if (figure.interval.has_value()) {
      entry["interval"] = {figure.interval->low, figure.interval->high};
    }
    if (!figure.note.empty()) entry["note"] = figure.note;
    figures.push_back(std::move(entry));
  }
  return {{"workload", comparison.workload}, {"basis", comparison.basis}, {"figures", figures}};
}

// Whether a figure is worse by more than `percent`, as far as the interval can tell.
bool IsWorseBy(const ComparedFigure& figure, double percent) {
  return figure.worse() && std::abs(figure.difference()) * 100 > percent;
}

absl::StatusOr<std::vector<Comparison>> CompareAll(const Options& options) {
  VALLM_ASSIGN_OR_RETURN(Results a, Load(options.a));
  VALLM_ASSIGN_OR_RETURN(Results b, Load(options.b));
  std::vector<Comparison> comparisons;
  if (a.size() == 1 && b.size() == 1) {
    if (a.front().workload != b.front().workload) {
      std::fprintf(stderr, "%s: not the same workload: A is %s; B is %s\n", kProgram,
                   a.front().workload.c_str(), b.front().workload.c_str());
    }
    comparisons.push_back(Compare(a, b, options.bootstrap));
    return comparisons;
  }
  const std::map<std::string, Results> of_a = ByWorkload(std::move(a));
  const std::map<std::string, Results> of_b = ByWorkload(std::move(b));
  for (const auto& [workload, runs] : of_a) {
    const auto other = of_b.find(workload);
    if (other == of_b.end()) {
      std::fprintf(stderr, "%s: only in A: %s\n", kProgram, workload.c_str());
    } else {
      comparisons.push_back(Compare(runs, other->second, options.bootstrap));
    }
  }
  for (const auto& [workload, runs] : of_b) {
    if (!of_a.contains(workload)) {
      std::fprintf(stderr, "%s: only in B: %s\n", kProgram, workload.c_str());
    }
  }
  if (comparisons.empty()) {
    return absl::InvalidArgumentError("the folders have no workload in common");
  }
  return comparisons;
}

absl::StatusOr<int> Run(const Options& options) {
  VALLM_ASSIGN_OR_RETURN(const std::vector<Comparison> comparisons, CompareAll(options));
  Json json = Json::array();
  bool worse = false;
  if (!options.json) std::printf("A: %s\nB: %s\n", options.a.c_str(), options.b.c_str());
  for (const Comparison& comparison : comparisons) {
    if (options.json) {
      json.push_back(ToJson(comparison));
    } else {
      Print(comparison);
    }
    for (const ComparedFigure& figure : comparison.figures) {
      worse |= options.fail_if_worse_percent.has_value() &&
               IsWorseBy(figure, *options.fail_if_worse_percent);
    }
  }
  if (options.json) {
    std::printf("%s\n", Json{{"a", options.a}, {"b", options.b}, {"comparisons", json}}
                            .dump(1, ' ', false, Json::error_handler_t::replace)
                            .c_str());
  }
  return worse ? 3 : 0;
}

}  // namespace

int RunBenchCompare(int argc, char** argv) {
  Options options;
  FlagParser flags(kProgram,
                   "Compares results of 'vllm bench serve' or vLLM's benchmark_serving.py: every "
                   "figure with its difference and an interval of confidence. Folders are compared "
                   "workload by workload; several runs of one are repeats.",
                   kExamples);
  CLI::App& app = flags.app();
  app.add_option("A", options.a, "Result file or folder: before")->required();
  app.add_option("B", options.b, "Result file or folder: after")->required();
  app.add_option("--resamples", options.bootstrap.resamples, "Of the bootstrap")
      ->check(CLI::Range(100, 1000000))
      ->capture_default_str();
  app.add_option("--seed", options.bootstrap.seed, "Of the resampling")->capture_default_str();
  app.add_option("--fail-if-worse", options.fail_if_worse_percent,
                 "Exit code 3 when a figure is worse by more than so many percent and its interval "
                 "leaves no doubt that it is worse")
      ->check(CLI::NonNegativeNumber);
  app.add_flag("--json", options.json, "Print JSON");
  if (auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  const absl::StatusOr<int> exit_code = Run(options);
  if (exit_code.ok()) return *exit_code;
  std::fprintf(stderr, "%s: %s\n", kProgram, std::string(exit_code.status().message()).c_str());
  return 2;
}

}  // namespace vallm::tools
