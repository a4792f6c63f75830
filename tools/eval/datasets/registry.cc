#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/strings.h"
#include "tools/eval/datasets/dataset.h"
#include "tools/eval/datasets/makers.h"
#include "tools/eval/text/regex.h"

namespace vallm::eval {

const std::vector<DatasetKind>& DatasetKinds() {
  static const auto& kinds = *new std::vector<DatasetKind>{
      {"general_mcq", "General MCQ", "own multiple-choice questions: SUBSET_SPLIT.csv",
       MakeGeneralMcq},
      {"general_qa", "General QA", "own questions with reference answers: SUBSET.jsonl",
       MakeGeneralQa},
      {"mmlu_pro", "MMLU-Pro", "14 subjects, up to ten choices", MakeMmluPro},
      {"ceval", "C-Eval", "52 subjects in Chinese, four choices", MakeCeval},
      {"gpqa", "GPQA", "graduate-level questions, four choices", MakeGpqa},
      {"math_500", "MATH-500", "competition mathematics, five levels", MakeMath500},
      {"aime24", "AIME-2024", "30 problems whose answers are integers", MakeAime24},
      {"drop", "DROP", "reading with arithmetic", MakeDrop},
      {"ifeval", "IFEval", "instructions that a program can check", MakeIfeval},
      {"live_code_bench", "Live Code Bench", "programs, run against tests", MakeLiveCodeBench},
  };
  return kinds;
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
    auto made = kind.make(args, seed);
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

absl::Status CheckExtraParams(const DatasetArgs& args, const std::vector<std::string>& known) {
  if (args.extra_params == nullptr) return absl::OkStatus();
  for (const auto& [key, value] : args.extra_params->items()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    std::string list;
    for (const std::string& name : known) absl::StrAppend(&list, list.empty() ? "" : ", ", name);
    return absl::InvalidArgumentError(
        absl::StrCat("extra_params.", key, " is not known",
                     known.empty() ? "" : absl::StrCat("; there is ", list)));
  }
  return absl::OkStatus();
}

}  // namespace vallm::eval
