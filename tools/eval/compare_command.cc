// `vallm eval compare`.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/flags.h"
#include "tools/eval/compare/compare_runs.h"
#include "tools/eval/eval_command.h"
#include "tools/eval/report/results.h"

namespace vallm::eval {
namespace {

constexpr char kExamples[] =
    "  vallm eval compare outputs/tp1 outputs/tp2\n"
    "  vallm eval compare outputs/bf16 outputs/fp8 --show 20\n"
    "  vallm eval compare outputs/tp1 outputs/tp2 --json > comparison.json\n"
    "  vallm eval compare --scores 0.792 0.796 --samples 250\n";

// Two published scores, of which nothing else is known.
int CompareScores(const std::vector<double>& scores, int64_t samples) {
  const double p = FisherExact(scores[0], samples, scores[1], samples);
  for (size_t i = 0; i < 2; ++i) {
    const Interval interval = WilsonInterval(scores[i], samples);
    std::printf("%c: %.4f at n=%lld, 95 %% interval %.3f to %.3f\n", i == 0 ? 'A' : 'B', scores[i],
                static_cast<long long>(samples), interval.low, interval.high);
  }
  std::printf("Fisher's exact test: p = %.3g: %s\n", p,
              p < 0.05 ? "the difference is more than chance"
                       : "noise: chance alone makes differences as large");
  std::printf(
      "(Scores alone are a weak comparison: give the folders of two runs on the same "
      "questions to compare them question by question.)\n");
  return 0;
}

void ShowChanged(const std::vector<DatasetComparison>& comparisons, size_t show) {
  for (const DatasetComparison& c : comparisons) {
    std::printf("\n%s: %s; %lld of %lld answers are the same letter for letter", c.dataset.c_str(),
                c.test.c_str(), static_cast<long long>(c.same_output), static_cast<long long>(c.n));
    if (c.only_in_a + c.only_in_b > 0) {
      std::printf("; %lld and %lld questions are in one run only and left out",
                  static_cast<long long>(c.only_in_a), static_cast<long long>(c.only_in_b));
    }
    std::printf("\n");
    for (size_t i = 0; i < c.changed.size() && i < show; ++i) {
      const ChangedQuestion& q = c.changed[i];
      std::printf("  %s / %s: %.2f -> %.2f; took '%s' and '%s', right is '%s'\n", q.subset.c_str(),
                  q.id.c_str(), q.score_a, q.score_b, Beginning(q.extracted_a, 60).c_str(),
                  Beginning(q.extracted_b, 60).c_str(), Beginning(q.target, 60).c_str());
    }
    if (c.changed.size() > show && show > 0) {
      std::printf("  ... and %zu more\n", c.changed.size() - show);
    }
  }
}

}  // namespace

int RunCompare(int argc, char** argv) {
  std::vector<std::string> runs;
  std::vector<double> scores;
  int64_t samples = 0;
  size_t show = 5;
  bool json = false;
  FlagParser flags(
      "vallm eval compare",
      "Compares two runs question by question and says whether their difference is "
      "more than chance: McNemar's exact test where questions are right or wrong, sign "
      "flips where scores lie in between; Holm's correction over the data sets; "
      "intervals by bootstrap.",
      kExamples);
  CLI::App& app = flags.app();
  app.add_option("runs", runs, "Two folders of runs: their work_dir")->expected(0, 2);
  app.add_option("--scores", scores, "Compare two scores of which only --samples is known")
      ->expected(2)
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--samples", samples, "Questions that each of --scores is of")
      ->check(CLI::PositiveNumber);
  app.add_option("--show", show, "Questions that changed, of each data set")->capture_default_str();
  app.add_flag("--json", json, "Print JSON, with all questions that changed");
  if (auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  if (!scores.empty()) {
    if (samples == 0 || !runs.empty()) {
      std::fprintf(stderr, "vallm eval compare: --scores needs --samples, and no runs\n");
      return 2;
    }
    return CompareScores(scores, samples);
  }
  if (runs.size() != 2) {
    std::fprintf(stderr, "vallm eval compare: give the folders of two runs\n");
    return 2;
  }
  const auto comparisons = CompareRuns(runs[0], runs[1]);
  if (!comparisons.ok()) {
    std::fprintf(stderr, "vallm eval compare: %s\n",
                 std::string(comparisons.status().message()).c_str());
    return 1;
  }
  if (json) {
    std::printf("%s\n", ComparisonToJson(*comparisons)
                            .dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace)
                            .c_str());
    return 0;
  }
  std::printf("A: %s\nB: %s\n%s", runs[0].c_str(), runs[1].c_str(),
              ComparisonTable(*comparisons).c_str());
  ShowChanged(*comparisons, show);
  return 0;
}

}  // namespace vallm::eval
