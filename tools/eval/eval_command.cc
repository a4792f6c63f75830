#include "tools/eval/eval_command.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/flags.h"
#include "common/status_macros.h"
#include "tools/eval/config/eval_config.h"
#include "tools/eval/report/html_report.h"
#include "tools/eval/report/results.h"
#include "tools/eval/run/runner.h"
#include "tools/progress_bar.h"

namespace vallm::eval {
namespace {

constexpr char kExamples[] =
    "  vallm eval config.yaml\n"
    "  vallm eval config.yaml --limit 50 --work-dir outputs/tp2\n"
    "  vallm eval config.yaml --dry-run        shows the first prompt of every data set\n"
    "  vallm eval compare outputs/tp1 outputs/tp2\n"
    "  vallm eval score math_500 answers.jsonl\n"
    "\nA configuration is what EvalScope reads:\n"
    "  model: Qwen3\n"
    "  api_url: http://127.0.0.1:8000/v1/chat/completions\n"
    "  api_key: EMPTY\n"
    "  eval_type: service\n"
    "  datasets: [mmlu_pro]\n"
    "  dataset_args:\n"
    "    mmlu_pro: {local_path: /data/MMLU-Pro, subset_list: [law], few_shot_num: 0}\n"
    "  eval_batch_size: 32\n"
    "  generation_config: {max_tokens: 16384, temperature: 0.6, top_p: 0.95}\n"
    "  limit: 50\n"
    "  work_dir: outputs/qwen3\n"
    "\nThe same command after an interruption goes on: recorded answers are not asked again.\n"
    "docs/accuracy.md describes the keys, the data sets and the files of a run.\n";

std::atomic<bool> g_interrupted = false;

void OnInterrupt(int) {
  if (g_interrupted.exchange(true)) _exit(130);  // the second time: at once
}

void InstallInterruptHandler() {
  struct sigaction action = {};
  action.sa_handler = OnInterrupt;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);  // a program that does not read its input to the end
}

// A line that is written over on terminals; elsewhere a line for every tenth.
class ProgressLine {
 public:
  ProgressLine() : terminal_(isatty(STDERR_FILENO) != 0), begin_(absl::Now()) {}

  void Show(const RunProgress& progress) {
    const int percent = static_cast<int>(100 * progress.done / std::max<size_t>(progress.total, 1));
    const absl::Time now = absl::Now();
    const bool last = progress.done == progress.total;
    if (terminal_ ? !last && now - shown_ < absl::Milliseconds(100)
                  : !last && percent / 10 == tenth_) {
      return;
    }
    shown_ = now;
    tenth_ = percent / 10;
    const double seconds = std::max(absl::ToDoubleSeconds(now - begin_), 1e-3);
    const double rate = static_cast<double>(progress.done - progress.recorded) / seconds;
    const double left = rate > 0 ? static_cast<double>(progress.total - progress.done) / rate : 0;
    const std::string failed =
        progress.failed > 0 ? absl::StrCat(", ", progress.failed, " failed") : "";
    std::fprintf(
        stderr, "%s%s %zu of %zu, %s, mean score %.3f, %.2f/s, %s left%s%s", terminal_ ? "\r" : "",
        tools::ProgressBar(percent).c_str(), progress.done, progress.total,
        progress.dataset.c_str(),
        progress.judged > 0 ? progress.score_sum / static_cast<double>(progress.judged) : 0, rate,
        absl::FormatDuration(absl::Seconds(static_cast<int64_t>(left))).c_str(), failed.c_str(),
        terminal_ ? "\033[K" : "\n");
    open_ = terminal_;
  }

  void Finish() {
    if (open_) std::fputc('\n', stderr);
    open_ = false;
  }

 private:
  const bool terminal_;
  const absl::Time begin_;
  absl::Time shown_;
  int tenth_ = -1;
  bool open_ = false;
};

struct Overrides {
  std::string work_dir, model, api_url, api_key;
  std::optional<int64_t> limit;
  std::optional<int> batch;

  void Apply(EvalConfig* config) const {
    if (!work_dir.empty()) config->work_dir = work_dir;
    if (!model.empty()) config->model = model;
    if (!api_url.empty()) config->api_url = api_url;
    if (!api_key.empty()) config->api_key = api_key;
    if (limit) config->limit = {.count = *limit, .share = std::nullopt};
    if (batch) config->eval_batch_size = *batch;
  }
};

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "vallm eval: %s\n", std::string(status.message()).c_str());
  return 1;
}

void ListDatasets() {
  for (const DatasetKind& kind : DatasetKinds()) {
    std::printf("%-16s %-16s %s\n", kind.name, kind.pretty_name, kind.description);
  }
}

void ShowPrompts(const Runner& runner) {
  for (const DatasetRun& run : runner.datasets()) {
    const Sample& sample = run.samples.front();
    std::printf(
        "== %s: %zu questions; the first is %s of subset '%s', its right answer '%s'\n%s\n\n",
        run.name.c_str(), run.samples.size(), sample.id.c_str(), sample.subset.c_str(),
        sample.target.c_str(), runner.RequestBody(sample).dump(2).c_str());
  }
}

absl::Status WriteReport(const EvalConfig& config, const Results& results,
                         const RunOutcome& outcome) {
  VALLM_RETURN_IF_ERROR(WriteFileAtomically(config.work_dir + "/results.json",
                                            ResultsToJson(results).dump(2) + "\n"));
  VALLM_RETURN_IF_ERROR(
      WriteFileAtomically(config.work_dir + "/report.html", HtmlReport(results, outcome)));
  return WriteFileAtomically(config.work_dir + "/config.yaml", results.config);
}

// Asks, judges and reports. Returns the exit code.
int Evaluate(const EvalConfig& config, Runner& runner) {
  InstallInterruptHandler();
  const absl::Time begin = absl::Now();
  const size_t total = runner.total();
  ProgressLine line;
  auto outcome = runner.Run([&line](const RunProgress& progress) { line.Show(progress); },
                            [] { return g_interrupted.load(); });
  line.Finish();
  if (!outcome.ok()) {
    Fail(outcome.status());
    std::fprintf(stderr, "What was answered so far is in %s; the same command goes on there.\n",
                 config.work_dir.c_str());
    return 1;
  }
  if (outcome->reused > 0) {
    std::fprintf(stderr, "%zu answers were recorded before and not asked again.\n",
                 outcome->reused);
  }
  if (outcome->unused > 0) {
    std::fprintf(
        stderr,
        "%zu recorded answers are to other requests (another model, prompt or setting) and "
        "do not count.\n",
        outcome->unused);
  }
  if (outcome->interrupted) {
    size_t answered = 0;
    for (const DatasetRun& run : outcome->datasets) answered += run.records.size();
    std::fprintf(stderr,
                 "Interrupted with %zu of %zu answers recorded; the same command goes on.\n",
                 answered, total);
    return 130;
  }
  Results results{.model = config.model_id.empty() ? config.model : config.model_id,
                  .api_url = config.api_url,
                  .finished = absl::Now(),
                  .seconds = absl::ToDoubleSeconds(absl::Now() - begin),
                  .datasets = {},
                  .config = WithoutApiKey(config.source)};
  int64_t failed = 0, truncated = 0, tolerated = 0;
  for (const DatasetRun& run : outcome->datasets) {
    results.datasets.push_back(Summarize(run));
    failed += results.datasets.back().failed;
    truncated += results.datasets.back().truncated;
    tolerated += results.datasets.back().tolerated;
  }
  if (const absl::Status status = WriteReport(config, results, *outcome); !status.ok()) {
    return Fail(status);
  }
  std::printf("%s", SummaryTable(results).c_str());
  bool detailed = false;
  for (const DatasetResult& dataset : results.datasets) {
    detailed = detailed || dataset.subsets.size() > 1 || dataset.metrics.size() > 1;
  }
  if (detailed) std::printf("\n%s", DetailTable(results).c_str());
  if (truncated > 0) {
    std::printf("\n%lld answers were cut off by max_tokens.\n", static_cast<long long>(truncated));
  }
  if (tolerated > 0) {
    std::printf(
        "\n%lld answers are right only because units or words around them were left out "
        "(extra_params.strict: true counts them as wrong).\n",
        static_cast<long long>(tolerated));
  }
  std::printf("\n%s/report.html, results.json, records/\n", config.work_dir.c_str());
  if (failed > 0) {
    std::fprintf(stderr,
                 "vallm eval: %lld questions have no answer and do not count; the same "
                 "command asks them again\n",
                 static_cast<long long>(failed));
    return 1;
  }
  return 0;
}

}  // namespace

int RunEval(int argc, char** argv) {
  const std::string first = argc > 1 ? argv[1] : "";
  if (first == "compare") return RunCompare(argc - 1, argv + 1);
  if (first == "score") return RunScore(argc - 1, argv + 1);
  std::string path;
  Overrides overrides;
  bool list = false, dry_run = false, fresh = false;
  FlagParser flags("vallm eval",
                   "Measures the accuracy of a model behind an OpenAI API on public and own data "
                   "sets.\nSee also 'vallm eval compare --help' and 'vallm eval score --help'.",
                   kExamples);
  CLI::App& app = flags.app();
  app.add_option("config_file", path, "The configuration, YAML or JSON");
  app.add_option("--work-dir", overrides.work_dir, "Where the run is kept, instead of work_dir");
  app.add_option("--model", overrides.model, "Instead of model");
  app.add_option("--api-url", overrides.api_url, "Instead of api_url");
  app.add_option("--api-key", overrides.api_key, "Instead of api_key");
  app.add_option("--limit", overrides.limit, "Questions per subset, instead of limit")
      ->check(CLI::PositiveNumber);
  app.add_option("--eval-batch-size", overrides.batch, "Requests at a time")
      ->check(CLI::PositiveNumber);
  app.add_flag("--dry-run", dry_run, "Read the data sets, show the first request of each, and end");
  app.add_flag("--fresh", fresh, "Ask everything anew: removes what work_dir has recorded");
  app.add_flag("--list", list, "List the data sets");
  if (auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  if (list) {
    ListDatasets();
    return 0;
  }
  if (path.empty()) {
    std::fprintf(stderr, "vallm eval: no configuration given; see vallm eval --help\n");
    return 2;
  }
  auto config = LoadEvalConfig(path);
  if (!config.ok()) return Fail(config.status());
  overrides.Apply(&*config);
  Runner runner(*config);
  if (const absl::Status status = runner.Load(); !status.ok()) return Fail(status);
  if (dry_run) {
    ShowPrompts(runner);
    return 0;
  }
  if (fresh) {
    std::error_code error;
    std::filesystem::remove_all(config->work_dir + "/records", error);
  }
  return Evaluate(*config, runner);
}

}  // namespace vallm::eval
