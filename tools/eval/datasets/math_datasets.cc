// MATH-500 and AIME 2024.
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "tools/eval/data/split_files.h"
#include "tools/eval/datasets/makers.h"
#include "tools/eval/datasets/prompt_template.h"
#include "tools/eval/math/answer_text.h"
#include "tools/eval/math/equality.h"
#include "tools/eval/text/unicode_text.h"

namespace vallm::eval {
namespace {

using nlohmann::ordered_json;

constexpr char kPrompt[] =
    "{query}\nPlease reason step by step, and put your final answer within \\boxed{{}}.";
constexpr char kMetric[] = "AveragePass@1";

class MathProblems : public Dataset {
 public:
  // With `levels`, the subsets are "Level 1" and so on, by the rows' level; otherwise "default".
  MathProblems(DatasetArgs args, const char* split, bool levels, bool strict)
      : args_(std::move(args)), split_(split), levels_(levels), strict_(strict) {}

  absl::StatusOr<std::vector<Sample>> Load() const override {
    VALLM_ASSIGN_OR_RETURN(const Rows rows,
                           LoadSplit(args_.local_path, "default", EvalSplit(args_, split_)));
    std::vector<std::string> subsets = args_.subset_list;
    if (subsets.empty() && levels_) {
      subsets = {"Level 1", "Level 2", "Level 3", "Level 4", "Level 5"};
    }
    if (subsets.empty()) subsets = {"default"};
    std::vector<Sample> samples;
    for (const std::string& subset : subsets) {
      for (size_t i = 0; i < rows.size(); ++i) {
        if (levels_ && SubsetOf(*rows[i]) != subset) continue;
        VALLM_RETURN_IF_ERROR(Add(subset, rows[i], i, &samples));
      }
    }
    if (samples.empty()) {
      return absl::NotFoundError(absl::StrCat("no row of ", args_.local_path, " has a level of ",
                                              "subset_list (\"Level 1\" to \"Level 5\")"));
    }
    return samples;
  }

  Verdict Judge(const Sample& sample, const ModelOutput& output) const override {
    Verdict verdict{.extracted = ExtractMathAnswer(output.content), .scores = {}, .note = ""};
    const std::string reference = NormalMathAnswer(sample.target);
    bool right = EqualMath(verdict.extracted, reference);
    if (!right && !strict_) {
      const std::string bare = NormalMathAnswer(WithoutWords(verdict.extracted));
      right = bare != verdict.extracted && EqualMath(bare, reference);
      if (right) verdict.note = "equal once units or words around the answer are left out";
    }
    verdict.scores = {{kMetric, {right ? 1.0 : 0.0}}};
    if (verdict.extracted.empty()) verdict.note = "no answer found";
    return verdict;
  }

 private:
  // The level as a number, or as MATH itself writes it: "Level 3".
  static std::string SubsetOf(const ordered_json& row) {
    const std::string level = TextMember(row, "level");
    return level.rfind("Level", 0) == 0 ? level : absl::StrCat("Level ", level);
  }

  absl::Status Add(const std::string& subset, const JsonRef& row, size_t index,
                   std::vector<Sample>* samples) const {
    if (!row->contains("problem") || !row->contains("answer")) {
      return RowError(subset, index, "needs problem and answer");
    }
    VALLM_ASSIGN_OR_RETURN(const std::string prompt,
                           FillTemplate(args_.prompt_template.value_or(kPrompt),
                                        {{"query", TextMember(*row, "problem")}}));
    std::string id = TextMember(*row, "unique_id");
    if (id.empty()) id = TextMember(*row, "id");
    samples->push_back({.subset = subset,
                        .id = id.empty() ? absl::StrCat(index) : id,
                        .messages = ChatMessages(args_.system_prompt.value_or(""), prompt),
                        .request = nullptr,
                        .row = row,
                        .target = TextMember(*row, "answer")});
    return absl::OkStatus();
  }

  const DatasetArgs args_;
  const char* split_;
  const bool levels_;
  const bool strict_;
};

DatasetOr Make(const DatasetArgs& args, const char* split, bool levels) {
  bool strict = false;
  if (args.extra_params != nullptr && args.extra_params->contains("strict")) {
    const ordered_json& value = (*args.extra_params)["strict"];
    if (!value.is_boolean()) {
      return absl::InvalidArgumentError("extra_params.strict must be true or false");
    }
    strict = value.get<bool>();
  }
  return std::make_unique<MathProblems>(args, split, levels, strict);
}

}  // namespace

DatasetOr MakeMath500(const DatasetArgs& args, int64_t) {
  return Make(args, "test", /*levels=*/true);
}

DatasetOr MakeAime24(const DatasetArgs& args, int64_t) {
  return Make(args, "train", /*levels=*/false);
}

}  // namespace vallm::eval
