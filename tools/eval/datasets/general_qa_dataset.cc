// general_qa: own questions with a reference answer, or with a check of their own.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "tools/eval/data/split_files.h"
#include "tools/eval/datasets/makers.h"
#include "tools/eval/datasets/prompt_template.h"
#include "tools/eval/scoring/answer_check.h"
#include "tools/eval/scoring/text_overlap.h"
#include "tools/eval/text/unicode_text.h"

namespace vallm::eval {
namespace {

using nlohmann::ordered_json;

constexpr char kRouge[] = "AverageRouge";
constexpr char kBleu[] = "AverageBLEU";
constexpr char kCheck[] = "Check";
constexpr char kExact[] = "ExactMatch";

class GeneralQa : public Dataset {
 public:
  GeneralQa(DatasetArgs args, std::vector<std::string> metrics)
      : args_(std::move(args)), metrics_(std::move(metrics)) {}

  absl::StatusOr<std::vector<Sample>> Load() const override {
    std::vector<std::string> subsets = args_.subset_list;
    if (subsets.empty()) subsets = {"default"};
    std::vector<Sample> samples;
    bool runs_code = false;
    for (const std::string& subset : subsets) {
      VALLM_ASSIGN_OR_RETURN(const Rows rows, LoadSplit(args_.local_path, subset,
                                                        EvalSplit(args_, "test"), {"{subset}"}));
      for (size_t i = 0; i < rows.size(); ++i) {
        auto sample = FromRow(subset, rows[i], i);
        if (!sample.ok()) return RowError(subset, i, sample.status());
        samples.push_back(*std::move(sample));
        runs_code = runs_code || (Uses(kCheck) && CheckRunsCode((*rows[i])["check"]));
      }
    }
    if (runs_code) {
      VALLM_ASSIGN_OR_RETURN(PythonSandbox sandbox, PythonSandbox::Create());
      sandbox_ = std::make_unique<PythonSandbox>(std::move(sandbox));
    }
    return samples;
  }

  Verdict Judge(const Sample& sample, const ModelOutput& output) const override {
    const std::string& answer = output.content;
    Verdict verdict{.extracted = answer, .scores = {}, .note = ""};
    const auto add = [&verdict](std::string metric, double value) {
      verdict.scores.push_back({.metric = std::move(metric), .values = {value}});
    };
    for (const std::string& metric : metrics_) {
      if (metric == kCheck) {
        add(kCheck, PassesCheck((*sample.row)["check"], std::string(Strip(answer)),
                                output.tool_calls, sandbox_.get()));
      } else if (metric == kExact) {
        add(kExact, Strip(answer) == Strip(sample.target) ? 1 : 0);
      } else if (metric == kRouge) {
        const auto add_three = [&add](const std::string& name, const Overlap& overlap) {
          add(name + "-R", overlap.recall);
          add(name + "-P", overlap.precision);
          add(name + "-F", overlap.f1);
        };
        add_three("Rouge-1", RougeN(answer, sample.target, 1));
        add_three("Rouge-2", RougeN(answer, sample.target, 2));
        add_three("Rouge-L", RougeL(answer, sample.target));
      } else {
        for (size_t n = 1; n <= 4; ++n) {
          add(absl::StrCat("bleu-", n), BleuN(answer, sample.target, n));
        }
      }
    }
    return verdict;
  }

 private:
  bool Uses(const char* metric) const {
    return std::find(metrics_.begin(), metrics_.end(), metric) != metrics_.end();
  }

  absl::StatusOr<Sample> FromRow(const std::string& subset, const JsonRef& ref,
                                 size_t index) const {
    const ordered_json& row = *ref;
    if (Uses(kCheck)) {
      if (!row.contains("check") || !row["check"].is_object()) {
        return absl::InvalidArgumentError("metric Check needs a 'check'");
      }
      VALLM_RETURN_IF_ERROR(ValidateCheck(row["check"]));
    }
    Sample sample;
    sample.subset = subset;
    sample.id = TextMember(row, "id");
    if (sample.id.empty()) sample.id = absl::StrCat(index);
    sample.row = ref;
    sample.target = TextMember(row, "answer");
    if (sample.target.empty()) sample.target = TextMember(row, "response");
    VALLM_ASSIGN_OR_RETURN(sample.messages, Messages(row));
    ordered_json request = ordered_json::object();
    if (row.contains("tools") && row["tools"].is_array()) request["tools"] = row["tools"];
    if (row.contains("enable_thinking") && row["enable_thinking"].is_boolean()) {
      request["chat_template_kwargs"] = {{"enable_thinking", row["enable_thinking"]}};
    }
    if (row.contains("max_tokens") && row["max_tokens"].is_number_integer()) {
      request["max_tokens"] = row["max_tokens"];
    }
    sample.request = ShareJson(std::move(request));
    return sample;
  }

  // Whole conversations are asked as they are; a question goes through the template, behind the
  // turns of its history.
  absl::StatusOr<JsonRef> Messages(const ordered_json& row) const {
    if (row.contains("messages") && row["messages"].is_array()) return ShareJson(row["messages"]);
    std::string question = TextMember(row, "question");
    if (question.empty()) question = TextMember(row, "query");
    if (question.empty()) {
      return absl::InvalidArgumentError("needs question, query or messages");
    }
    VALLM_ASSIGN_OR_RETURN(
        const std::string prompt,
        FillTemplate(args_.prompt_template.value_or("请回答问题\n{query}"), {{"query", question}}));
    ordered_json messages = ordered_json::array();
    std::string system = TextMember(row, "system");
    if (system.empty()) system = args_.system_prompt.value_or("");
    if (!system.empty()) messages.push_back({{"role", "system"}, {"content", system}});
    if (row.contains("history") && row["history"].is_array()) {
      for (const ordered_json& turn : row["history"]) {
        if (!turn.is_array() || turn.size() != 2 || !turn[0].is_string() || !turn[1].is_string()) {
          return absl::InvalidArgumentError("'history' must be a list of [question, answer]");
        }
        messages.push_back({{"role", "user"}, {"content", turn[0]}});
        messages.push_back({{"role", "assistant"}, {"content", turn[1]}});
      }
    }
    messages.push_back({{"role", "user"}, {"content", prompt}});
    return ShareJson(std::move(messages));
  }

  const DatasetArgs args_;
  const std::vector<std::string> metrics_;
  mutable std::unique_ptr<const PythonSandbox> sandbox_;  // made by Load, if a check runs code
};

}  // namespace

DatasetOr MakeGeneralQa(const DatasetArgs& args, int64_t) {
  std::vector<std::string> metrics = args.metric_list;
  if (metrics.empty()) metrics = {kRouge, kBleu};
  return std::make_unique<GeneralQa>(args, std::move(metrics));
}

}  // namespace vallm::eval
