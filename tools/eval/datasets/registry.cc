#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/strings.h"
#include "tools/eval/datasets/dataset.h"
#include "tools/eval/datasets/makers.h"
#include "tools/eval/text/regex.h"

namespace vallm::eval {

namespace {

std::string Listed(const std::vector<std::string>& names) { return absl::StrJoin(names, ", "); }

template <typename T>
bool Has(const std::vector<T>& list, const T& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

// Errors: INVALID_ARGUMENT naming what would have no effect.
absl::Status CheckArgs(const DatasetKind& kind, const DatasetArgs& args) {
  const auto refused = [](const std::string& key, const std::string& why) {
    return absl::InvalidArgumentError(absl::StrCat(key, " ", why));
  };
  for (const std::string& metric : args.metric_list) {
    if (Has(kind.metrics, metric)) continue;
    return refused("metric_list", absl::StrCat("has no '", metric, "': ", Listed(kind.metrics)));
  }
  if (!kind.any_metrics && !args.metric_list.empty() && args.metric_list != kind.metrics) {
    return refused("metric_list", absl::StrCat("must be [", Listed(kind.metrics), "]"));
  }
  if (!args.prompt_template.value_or("").empty() && !kind.prompt_template) {
    return refused("prompt_template", "is not for this data set: its rows are whole prompts");
  }
  if (args.query_template && !kind.query_template) {
    return refused("query_template", "is not for this data set; prompt_template is");
  }
  if (args.train_split && !kind.train_split) {
    return refused("train_split", "is not for this data set: no examples come from a split");
  }
  if (!kind.subset_list && !args.subset_list.empty() &&
      args.subset_list != std::vector<std::string>{"default"}) {
    return refused("subset_list", "must be [default]: this data set has no subsets");
  }
  const int few = args.few_shot_num.value_or(0);
  if (!kind.few_shot_nums.empty() && !Has(kind.few_shot_nums, few)) {
    return refused("few_shot_num", "must be " + absl::StrJoin(kind.few_shot_nums, " or "));
  }
  if (args.extra_params == nullptr) return absl::OkStatus();
  for (const auto& [key, value] : args.extra_params->items()) {
    if (Has(kind.extra_params, key)) continue;
    const char* const there = kind.extra_params.empty() ? "" : "; there is ";
    return refused("extra_params." + key,
                   absl::StrCat("is not known", there, Listed(kind.extra_params)));
  }
  return absl::OkStatus();
}

}  // namespace

const std::vector<DatasetKind>& DatasetKinds() {
  static const auto& kinds = *new std::vector<DatasetKind>{
      {.name = "general_mcq",
       .pretty_name = "General MCQ",
       .description = "own multiple-choice questions: SUBSET_SPLIT.csv",
       .make = MakeGeneralMcq,
       .metrics = {"AverageAccuracy"},
       .query_template = true,
       .train_split = true,
       .few_shot_nums = {}},
      {.name = "general_qa",
       .pretty_name = "General QA",
       .description = "own questions with reference answers: SUBSET.jsonl",
       .make = MakeGeneralQa,
       .metrics = {"AverageRouge", "AverageBLEU", "ExactMatch", "Check"},
       .any_metrics = true},
      {.name = "mmlu_pro",
       .pretty_name = "MMLU-Pro",
       .description = "14 subjects, up to ten choices",
       .make = MakeMmluPro,
       .metrics = {"AverageAccuracy"},
       .train_split = true,
       .few_shot_nums = {}},
      {.name = "ceval",
       .pretty_name = "C-Eval",
       .description = "52 subjects in Chinese, four choices",
       .make = MakeCeval,
       .metrics = {"AverageAccuracy"},
       .query_template = true,
       .train_split = true,
       .few_shot_nums = {}},
      {.name = "gpqa",
       .pretty_name = "GPQA",
       .description = "graduate-level questions, four choices",
       .make = MakeGpqa,
       .metrics = {"AveragePass@1"},
       .few_shot_nums = {0, 5}},  // its examples are one text, of five
      {.name = "math_500",
       .pretty_name = "MATH-500",
       .description = "competition mathematics, five levels",
       .make = MakeMath500,
       .metrics = {"AveragePass@1"},
       .extra_params = {"strict"}},
      {.name = "aime24",
       .pretty_name = "AIME-2024",
       .description = "30 problems whose answers are integers",
       .make = MakeAime24,
       .metrics = {"AveragePass@1"},
       .subset_list = false,
       .extra_params = {"strict"}},
      {.name = "drop",
       .pretty_name = "DROP",
       .description = "reading with arithmetic",
       .make = MakeDrop,
       .metrics = {"AverageAccuracy"},
       .subset_list = false,
       .train_split = true,
       .few_shot_nums = {}},
      {.name = "ifeval",
       .pretty_name = "IFEval",
       .description = "instructions that a program can check",
       .make = MakeIfeval,
       .metrics = {"prompt_level_strict_acc", "inst_level_strict_acc", "prompt_level_loose_acc",
                   "inst_level_loose_acc"},
       .prompt_template = false,
       .subset_list = false},
      {.name = "live_code_bench",
       .pretty_name = "Live Code Bench",
       .description = "programs, run against tests",
       .make = MakeLiveCodeBench,
       .metrics = {"Pass@1"},
       .extra_params = {"start_date", "end_date", "timeout", "memory_mib", "python",
                        "allow_reading_files"}},
  };
  return kinds;
}

Split EvalSplit(const DatasetArgs& args, const std::string& usual) {
  const std::string name = args.eval_split.value_or(usual);
  return {.name = name, .unnamed = name == usual};
}

absl::StatusOr<Rows> LoadExamples(const DatasetArgs& args, std::string_view subset,
                                  const std::string& usual, const std::vector<std::string>& more) {
  std::error_code error;
  if (std::filesystem::is_regular_file(args.local_path, error)) {
    return absl::InvalidArgumentError(
        "few_shot_num above 0 needs a folder as local_path, with a file of examples: in a single "
        "file they would be the questions themselves");
  }
  return LoadSplit(args.local_path, subset,
                   {.name = args.train_split.value_or(usual), .unnamed = false}, more);
}

absl::StatusOr<std::unique_ptr<Dataset>> MakeDataset(std::string_view name, const DatasetArgs& args,
                                                     int64_t seed) {
  std::string known;
  for (const DatasetKind& kind : DatasetKinds()) {
    if (name != kind.name) {
      absl::StrAppend(&known, known.empty() ? "" : ", ", kind.name);
      continue;
    }
    for (const auto& [filter, argument] : args.filters) {
      if (filter != "extract") continue;
      if (auto regex = Regex::Compile(argument); !regex.ok()) return regex.status();
    }
    const absl::Status checked = CheckArgs(kind, args);
    auto made = checked.ok() ? kind.make(args, seed) : checked;
    if (made.ok()) return made;
    return absl::Status(made.status().code(),
                        absl::StrCat(kind.name, ": ", made.status().message()));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("no data set '", ToAbsl(name), "'; there is ", known));
}

std::string Filtered(const DatasetArgs& args, std::string_view output) {
  std::string text(output);
  for (const auto& [filter, argument] : args.filters) {
    if (filter == "remove_until") {
      const size_t at = text.rfind(argument);
      if (at != std::string::npos) text.erase(0, at + argument.size());
    } else {  // extract
      const Regex regex = Regex::Of(argument);
      const auto match = regex.Search(text);
      text = match ? std::string((*match)[0]) : "";
    }
  }
  return text;
}

absl::Status RowError(const std::string& subset, size_t index, const std::string& what) {
  return absl::InvalidArgumentError(
      absl::StrCat("row ", index + 1, " of subset '", subset, "': ", what));
}

absl::Status RowError(const std::string& subset, size_t index, const absl::Status& status) {
  return RowError(subset, index, std::string(status.message()));
}

}  // namespace vallm::eval
