// DROP, IFEval and LiveCodeBench.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/civil_time.h"
#include "common/status_macros.h"
#include "tools/eval/code/code_tests.h"
#include "tools/eval/data/split_files.h"
#include "tools/eval/datasets/makers.h"
#include "tools/eval/datasets/prompt_template.h"
#include "tools/eval/ifeval/instructions.h"
#include "tools/eval/scoring/drop_answer.h"
#include "tools/eval/text/unicode_text.h"

namespace vallm::eval {
namespace {

using nlohmann::ordered_json;

// A row of DROP's own file holds a passage with all its questions: one row for each.
Rows Flattened(const Rows& rows) {
  Rows flat;
  for (const JsonRef& row : rows) {
    if (!row->contains("qa_pairs") || !(*row)["qa_pairs"].is_array()) {
      flat.push_back(row);
      continue;
    }
    for (const ordered_json& pair : (*row)["qa_pairs"]) {
      if (!pair.is_object()) continue;
      ordered_json one = pair;
      one["passage"] = (*row)["passage"];
      flat.push_back(ShareJson(std::move(one)));
    }
  }
  return flat;
}

// {"number": "3", "spans": [], "date": {...}}: the first of these that is there.
DropAnswer OneDropAnswer(const ordered_json& answer) {
  const std::string number = TextMember(answer, "number");
  if (!number.empty()) return {number};
  if (answer.contains("spans") && answer["spans"].is_array() && !answer["spans"].empty()) {
    DropAnswer spans;
    for (const ordered_json& span : answer["spans"]) {
      if (span.is_string()) spans.push_back(span.get<std::string>());
    }
    return spans;
  }
  if (!answer.contains("date") || !answer["date"].is_object()) return {""};
  const ordered_json& date = answer["date"];
  const std::string text = absl::StrCat(TextMember(date, "day"), " ", TextMember(date, "month"),
                                        " ", TextMember(date, "year"));
  return {std::string(Strip(text))};
}

// Validated answers are a list, or in the form of a table: an object of lists.
absl::StatusOr<std::vector<DropAnswer>> DropAnswers(const ordered_json& row) {
  if (!row.contains("answer") || !row["answer"].is_object()) {
    return absl::InvalidArgumentError(
        "needs an 'answer' with number, date and spans (as in drop_dataset_dev.json)");
  }
  std::vector<DropAnswer> answers = {OneDropAnswer(row["answer"])};
  const auto add = [&answers](const ordered_json& one) {
    DropAnswer answer = OneDropAnswer(one);
    if (std::find(answers.begin(), answers.end(), answer) == answers.end()) {
      answers.push_back(std::move(answer));
    }
  };
  const auto validated = row.find("validated_answers");
  if (validated == row.end() || validated->is_null()) return answers;
  if (validated->is_array()) {
    for (const ordered_json& one : *validated) add(one);
  } else if (validated->is_object() && validated->contains("number")) {
    for (size_t i = 0; i < (*validated)["number"].size(); ++i) {
      ordered_json one;
      for (const char* part : {"number", "date", "spans"}) {
        if (validated->contains(part) && i < (*validated)[part].size()) {
          one[part] = (*validated)[part][i];
        }
      }
      add(one);
    }
  }
  return answers;
}

class Drop : public Dataset {
 public:
  explicit Drop(DatasetArgs args) : args_(std::move(args)) {}

  absl::StatusOr<std::vector<Sample>> Load() const override {
    VALLM_ASSIGN_OR_RETURN(Rows rows,
                           LoadSplit(args_.local_path, "default", EvalSplit(args_, "validation"),
                                     {"drop_dataset_dev", "dev"}));
    rows = Flattened(rows);
    VALLM_ASSIGN_OR_RETURN(const std::string examples, Examples());
    std::vector<Sample> samples;
    for (size_t i = 0; i < rows.size(); ++i) {
      const ordered_json& row = *rows[i];
      auto answers = DropAnswers(row);
      if (!answers.ok()) return RowError("default", i, answers.status());
      VALLM_ASSIGN_OR_RETURN(
          const std::string prompt,
          FillTemplate(
              args_.prompt_template.value_or(
                  "You will be asked to read a passage and answer a question."
                  "{drop_examples}# Your Task\n\n---\n{query}\n\nThink step by step, then "
                  "write a line of the form \"Answer: $ANSWER\" at the end of your response."),
              {{"drop_examples", examples},
               {"query", absl::StrCat("Passage: ", TextMember(row, "passage"),
                                      "\nQuestion: ", TextMember(row, "question"))}}));
      const std::string id = TextMember(row, "query_id");
      samples.push_back({.subset = "default",
                         .id = id.empty() ? absl::StrCat(i) : id,
                         .messages = ChatMessages(args_.system_prompt.value_or(""), prompt),
                         .request = nullptr,
                         .row = rows[i],
                         .target = Shown(*answers)});
    }
    return samples;
  }

  Verdict Judge(const Sample& sample, const ModelOutput& output) const override {
    Verdict verdict{.extracted = ExtractDropAnswer(output.content), .scores = {}, .note = ""};
    const auto answers = DropAnswers(*sample.row);
    const DropScore score = answers.ok() ? ScoreDrop(verdict.extracted, *answers) : DropScore();
    verdict.scores = {{"AverageAccuracy", {score.exact_match}}, {"F1", {score.f1}}};
    return verdict;
  }

 private:
  static std::string Shown(const std::vector<DropAnswer>& answers) {
    std::vector<std::string> texts;
    for (const DropAnswer& answer : answers) texts.push_back(absl::StrJoin(answer, ", "));
    return absl::StrJoin(texts, " | ");
  }

  // The first questions of the training split, worded as the data set's few-shot prompt is.
  absl::StatusOr<std::string> Examples() const {
    const auto few = static_cast<size_t>(args_.few_shot_num.value_or(0));
    if (few == 0) return "";
    VALLM_ASSIGN_OR_RETURN(const Rows rows,
                           LoadExamples(args_, "default", "train", {"drop_dataset_{split}"}));
    std::string text = "Some examples of passages and Q&A are provided below.\n\n";
    const Rows flat = Flattened(rows);
    for (size_t i = 0; i < flat.size() && i < few; ++i) {
      auto answers = DropAnswers(*flat[i]);
      if (!answers.ok()) return RowError("train", i, answers.status());
      absl::StrAppend(&text, "---\nPassage: ", TextMember(*flat[i], "passage"),
                      "\nQuestion: ", TextMember(*flat[i], "question"),
                      "\nAnswer:  ", absl::StrJoin((*answers)[0], ", "), "\n\n");
    }
    return text;
  }

  const DatasetArgs args_;
};

class IfEval : public Dataset {
 public:
  explicit IfEval(DatasetArgs args) : args_(std::move(args)) {}

  absl::StatusOr<std::vector<Sample>> Load() const override {
    VALLM_ASSIGN_OR_RETURN(const Rows rows,
                           LoadSplit(args_.local_path, "default", EvalSplit(args_, "train"),
                                     {"ifeval_input_data", "input_data", "ifeval"}));
    std::vector<Sample> samples;
    for (size_t i = 0; i < rows.size(); ++i) {
      const ordered_json& row = *rows[i];
      if (const absl::Status status = CheckRow(row); !status.ok()) {
        return RowError("default", i, status);
      }
      const std::string key = TextMember(row, "key");
      samples.push_back(
          {.subset = "default",
           .id = key.empty() ? absl::StrCat(i) : key,
           .messages = ChatMessages(args_.system_prompt.value_or(""), TextMember(row, "prompt")),
           .request = nullptr,
           .row = rows[i],
           .target =
               absl::StrJoin(row["instruction_id_list"].get<std::vector<std::string>>(), ", ")});
    }
    return samples;
  }

  Verdict Judge(const Sample& sample, const ModelOutput& output) const override {
    const ordered_json& row = *sample.row;
    const std::vector<std::string> variants = LooseVariants(output.content);
    std::vector<double> strict, loose;
    std::string failed;
    for (size_t i = 0; i < row["instruction_id_list"].size(); ++i) {
      const auto name = row["instruction_id_list"][i].get<std::string>();
      const ordered_json& parameters = row["kwargs"][i];
      strict.push_back(Follows(name, parameters, output.content) ? 1 : 0);
      loose.push_back(std::any_of(variants.begin(), variants.end(), [&](const std::string& text) {
        return Follows(name, parameters, text);
      }));
      if (strict.back() == 0) absl::StrAppend(&failed, failed.empty() ? "" : ", ", name);
    }
    const auto all = [](const std::vector<double>& values) {
      return std::all_of(values.begin(), values.end(), [](double v) { return v == 1; }) ? 1.0 : 0.0;
    };
    Verdict verdict;
    verdict.scores = {{"prompt_level_strict_acc", {all(strict)}},
                      {"inst_level_strict_acc", strict},
                      {"prompt_level_loose_acc", {all(loose)}},
                      {"inst_level_loose_acc", loose}};
    if (!failed.empty()) verdict.note = "not followed: " + failed;
    return verdict;
  }

 private:
  static absl::Status CheckRow(const ordered_json& row) {
    if (!row.contains("prompt") || !row.contains("instruction_id_list") ||
        !row["instruction_id_list"].is_array() || !row.contains("kwargs") ||
        !row["kwargs"].is_array() || row["kwargs"].size() != row["instruction_id_list"].size()) {
      return absl::InvalidArgumentError(
          "needs prompt, instruction_id_list and as many kwargs as instructions");
    }
    for (size_t i = 0; i < row["kwargs"].size(); ++i) {
      if (!row["instruction_id_list"][i].is_string() || !row["kwargs"][i].is_object()) {
        return absl::InvalidArgumentError("an instruction is no string, or its kwargs no object");
      }
      VALLM_RETURN_IF_ERROR(
          CheckInstruction(row["instruction_id_list"][i].get<std::string>(), row["kwargs"][i]));
    }
    return absl::OkStatus();
  }

  const DatasetArgs args_;
};

class LiveCodeBench : public Dataset {
 public:
  LiveCodeBench(DatasetArgs args, PythonSandbox sandbox, RunLimits limits, std::string from,
                std::string to)
      : args_(std::move(args)),
        sandbox_(std::move(sandbox)),
        limits_(limits),
        from_(std::move(from)),
        to_(std::move(to)) {}

  absl::StatusOr<std::vector<Sample>> Load() const override {
    std::vector<std::string> subsets = args_.subset_list;
    if (subsets.empty()) subsets = {"release_latest"};
    std::vector<Sample> samples;
    for (const std::string& subset : subsets) {
      VALLM_ASSIGN_OR_RETURN(const Rows rows, RowsOf(subset));
      for (size_t i = 0; i < rows.size(); ++i) {
        const std::string date = TextMember(*rows[i], "contest_date").substr(0, 10);
        if ((!from_.empty() && date < from_) || (!to_.empty() && date > to_)) continue;
        auto problem = ParseCodeProblem(*rows[i]);
        if (!problem.ok()) return RowError(subset, i, problem.status());
        VALLM_ASSIGN_OR_RETURN(Sample sample, FromRow(subset, *rows[i], i));
        // The tests of a problem are megabytes: only what judges is kept.
        problems_[sample.subset + "\n" + sample.id] = *std::move(problem);
        samples.push_back(std::move(sample));
      }
    }
    if (samples.empty())
      return absl::NotFoundError("no problem lies between start_date and end_date");
    return samples;
  }

  Verdict Judge(const Sample& sample, const ModelOutput& output) const override {
    Verdict verdict{.extracted = ExtractCode(output.content), .scores = {}, .note = ""};
    const auto problem = problems_.find(sample.subset + "\n" + sample.id);
    const auto result =
        problem == problems_.end()
            ? absl::StatusOr<CodeVerdict>(absl::NotFoundError("no tests for this problem"))
            : RunCodeTests(sandbox_, problem->second, verdict.extracted, limits_);
    verdict.scores = {{"Pass@1", {result.ok() && result->passed ? 1.0 : 0.0}}};
    verdict.note = result.ok() ? result->note : std::string(result.status().message());
    return verdict;
  }

 private:
  // release_v3 is test.jsonl, test2.jsonl and test3.jsonl; release_latest is all files.
  absl::StatusOr<Rows> RowsOf(const std::string& subset) const {
    const std::string split = args_.eval_split.value_or("test");
    int release = 0;
    if (subset == "release_latest") {
      return LoadSplit(args_.local_path, "default", {split}, {"{split}*"});
    }
    if (subset.rfind("release_v", 0) != 0 || !absl::SimpleAtoi(subset.substr(9), &release)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "subset_list: '", subset, "' is neither release_latest nor release_v1, release_v2, ..."));
    }
    Rows all;
    for (int i = 1; i <= release; ++i) {
      const std::string name = i == 1 ? split : absl::StrCat(split, i);
      VALLM_ASSIGN_OR_RETURN(const Rows rows,
                             LoadSplit(args_.local_path, "default", {name}, {"{split}"}));
      all.insert(all.end(), rows.begin(), rows.end());
    }
    return all;
  }

  absl::StatusOr<Sample> FromRow(const std::string& subset, const ordered_json& row,
                                 size_t index) const {
    const std::string starter = TextMember(row, "starter_code");
    const std::string format =
        starter.empty()
            ? std::string(
                  "### Format: Read the inputs from stdin solve the problem and write the "
                  "answer to stdout (do not directly test on the sample inputs). Enclose your "
                  "code within delimiters as follows.\n```python\n# YOUR CODE HERE\n```\n\n")
            : absl::StrCat(
                  "### Format: You will use the following starter code to write the "
                  "solution to the problem and enclose your code within delimiters.\n"
                  "```python\n",
                  starter, "\n```\n\n");
    VALLM_ASSIGN_OR_RETURN(
        const std::string prompt,
        FillTemplate(args_.prompt_template.value_or("### Question:\n{question_content}\n\n"
                                                    "{format_prompt} ### Answer: (use the provided "
                                                    "format with backticks)\n\n"),
                     {{"question_content", TextMember(row, "question_content")},
                      {"format_prompt", format}}));
    const std::string id = TextMember(row, "question_id");
    return Sample{
        .subset = subset,
        .id = id.empty() ? absl::StrCat(index) : id,
        .messages = ChatMessages(
            args_.system_prompt.value_or(
                "You are an expert Python programmer. You will be given a question (problem "
                "specification) and will generate a correct Python program that matches the "
                "specification and passes all tests. You will NOT return anything except for the "
                "program."),
            prompt),
        .request = nullptr,
        .row = ShareJson({{"output", TextMember(row, "output")}}),
        .target = ""};
  }

  const DatasetArgs args_;
  const PythonSandbox sandbox_;
  const RunLimits limits_;
  const std::string from_, to_;
  mutable std::map<std::string, CodeProblem> problems_;  // filled by Load
};

// A day as rows have it, "2024-03-01"; "" where it is not given.
absl::StatusOr<std::string> Date(const ordered_json& extra, const char* name) {
  const std::string text = TextMember(extra, name);
  absl::CivilDay day;
  if (text.empty() || (text.size() == 10 && absl::ParseCivilTime(text, &day))) return text;
  return absl::InvalidArgumentError(
      absl::StrCat("extra_params.", name, " '", text, "' is no day like 2024-03-01"));
}

}  // namespace

DatasetOr MakeDrop(const DatasetArgs& args, int64_t) { return std::make_unique<Drop>(args); }

DatasetOr MakeIfeval(const DatasetArgs& args, int64_t) { return std::make_unique<IfEval>(args); }

DatasetOr MakeLiveCodeBench(const DatasetArgs& args, int64_t) {
  RunLimits limits;
  PythonSandbox::Options options;
  std::string from, to;
  if (args.extra_params != nullptr) {
    const ordered_json& extra = *args.extra_params;
    for (const char* name : {"timeout", "memory_mib"}) {
      if (!extra.contains(name)) continue;
      if (!extra[name].is_number() || !(extra[name].get<double>() > 0)) {
        return absl::InvalidArgumentError(
            absl::StrCat("extra_params.", name, " must be a number above 0"));
      }
    }
    if (extra.contains("timeout")) limits.time = absl::Seconds(extra["timeout"].get<double>());
    if (extra.contains("memory_mib")) {
      limits.memory_bytes = static_cast<int64_t>(extra["memory_mib"].get<double>() * (1 << 20));
    }
    VALLM_ASSIGN_OR_RETURN(from, Date(extra, "start_date"));
    VALLM_ASSIGN_OR_RETURN(to, Date(extra, "end_date"));
    const std::string python = TextMember(extra, "python");
    if (!python.empty()) options.python = python;
    if (extra.contains("allow_reading_files")) {
      if (!extra["allow_reading_files"].is_boolean()) {
        return absl::InvalidArgumentError("extra_params.allow_reading_files must be true or false");
      }
      options.allow_reading_files = extra["allow_reading_files"].get<bool>();
    }
  }
  VALLM_ASSIGN_OR_RETURN(PythonSandbox sandbox, PythonSandbox::Create(options));
  return std::make_unique<LiveCodeBench>(args, std::move(sandbox), limits, std::move(from),
                                         std::move(to));
}

}  // namespace vallm::eval
