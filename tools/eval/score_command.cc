// `vallm eval score`.
#include <signal.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/flags.h"
#include "tools/eval/datasets/dataset.h"
#include "tools/eval/eval_command.h"
#include "tools/eval/run/record.h"

namespace vallm::eval {
namespace {

using nlohmann::ordered_json;

constexpr char kExamples[] =
    "  vallm eval score math_500 answers.jsonl\n"
    "  vallm eval score general_qa answers.jsonl --metric AverageRouge\n"
    "\nThe file has the data set's own rows (JSON Lines, CSV or Parquet) with one more member,\n"
    "\"output\": what the model wrote. One line of JSON is printed for each: id, subset, target,\n"
    "extracted, scores, note.\n";

// Data sets whose subsets are told apart by a member of the row, not by the file.
bool SubsetsByRow(const std::string& dataset) {
  return dataset == "math_500" || dataset == "mmlu_pro" || dataset == "live_code_bench";
}

}  // namespace

int RunScore(int argc, char** argv) {
  std::string name;
  DatasetArgs args;
  bool strict = false;
  std::string remove_until, extra_params;
  FlagParser flags("vallm eval score", "Judges outputs that exist already, without a server.",
                   kExamples);
  CLI::App& app = flags.app();
  app.add_option("dataset", name, "A name of vallm eval --list")->required();
  app.add_option("file", args.local_path, "Rows with their \"output\"")->required();
  app.add_option("--metric", args.metric_list, "Instead of the data set's metrics");
  app.add_option("--remove-until", remove_until,
                 "Judge what follows the last of these, e.g. </think>");
  app.add_option("--extra-params", extra_params,
                 "JSON object, as in a configuration, e.g. {\"timeout\": 2}");
  app.add_flag("--strict", strict, "Mathematics: units and words around an answer make it wrong");
  if (auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  signal(SIGPIPE, SIG_IGN);
  args.few_shot_num = 0;
  if (!SubsetsByRow(name)) args.subset_list = {"default"};
  if (!remove_until.empty()) args.filters = {{"remove_until", remove_until}};
  const auto fail = [](const absl::Status& status) {
    std::fprintf(stderr, "vallm eval score: %s\n", std::string(status.message()).c_str());
    return 1;
  };
  ordered_json extra = ordered_json::parse(extra_params.empty() ? "{}" : extra_params, nullptr,
                                           /*allow_exceptions=*/false);
  if (!extra.is_object()) {
    return fail(absl::InvalidArgumentError("--extra-params is no JSON object"));
  }
  if (strict) extra["strict"] = true;
  if (!extra.empty()) args.extra_params = ShareJson(std::move(extra));
  const auto dataset = MakeDataset(name, args, /*seed=*/42);
  if (!dataset.ok()) return fail(dataset.status());
  const auto samples = (*dataset)->Load();
  if (!samples.ok()) return fail(samples.status());
  for (const Sample& sample : *samples) {
    if (sample.row == nullptr || !sample.row->contains("output")) {
      return fail(absl::InvalidArgumentError(absl::StrCat("row ", sample.id, " has no 'output'")));
    }
    ModelOutput output{.content = Filtered(args, TextMember(*sample.row, "output")),
                       .reasoning = "",
                       .tool_calls = nullptr};
    if (sample.row->contains("tool_calls")) {
      output.tool_calls = ShareJson((*sample.row)["tool_calls"]);
    }
    const Verdict verdict = (*dataset)->Judge(sample, output);
    ordered_json scores = ordered_json::object();
    for (const Score& score : verdict.scores) scores[score.metric] = score.values;
    std::printf("%s\n", JsonLine({{"id", sample.id},
                                  {"subset", sample.subset},
                                  {"target", sample.target},
                                  {"extracted", verdict.extracted},
                                  {"scores", std::move(scores)},
                                  {"note", verdict.note}})
                            .c_str());
  }
  return 0;
}

}  // namespace vallm::eval
