// Multiple-choice data sets: general_mcq, C-Eval, MMLU-Pro and GPQA.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "tools/eval/data/split_files.h"
#include "tools/eval/datasets/makers.h"
#include "tools/eval/datasets/prompt_template.h"
#include "tools/eval/scoring/choice_answer.h"
#include "tools/eval/text/regex.h"
#include "tools/eval/text/unicode_text.h"

namespace vallm::eval {
namespace {

using nlohmann::ordered_json;

constexpr char kLetters[] = "ABCDEFGHIJ";
constexpr char kAccuracy[] = "AverageAccuracy";

std::string RowId(const ordered_json& row, size_t index, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    std::string id = TextMember(row, name);
    if (!id.empty()) return id;
  }
  return absl::StrCat(index);
}

Verdict ChoiceVerdict(std::string extracted, const std::string& target, const char* metric) {
  const double right = extracted == target ? 1 : 0;
  Verdict verdict{.extracted = std::move(extracted), .scores = {{metric, {right}}}, .note = ""};
  if (verdict.extracted == kNoChoice) verdict.note = "no letter found";
  return verdict;
}

// general_mcq and C-Eval: a file per subset and split, columns question, A, B, ..., answer.
class TableChoices : public Dataset {
 public:
  struct Style {
    std::string letters;
    std::string prompt_template;  // with {query}, and {subset_name} where there is one
    std::string query_template;   // with {question}, {choices} and {answer}
    std::map<std::string, std::string> subset_names;  // as prompts say them
    std::string default_subset;                       // where the configuration names none
    bool strip_query = false;  // white space behind the question's open answer
  };

  TableChoices(DatasetArgs args, Style style) : args_(std::move(args)), style_(std::move(style)) {}

  absl::StatusOr<std::vector<Sample>> Load() const override {
    std::vector<std::string> subsets = args_.subset_list;
    const bool named = !subsets.empty();
    if (!named) {
      for (const auto& subject : CevalSubjects()) subsets.push_back(subject.first);
      if (!style_.default_subset.empty()) subsets = {style_.default_subset};
    }
    std::vector<Sample> samples;
    absl::Status missing;
    for (const std::string& subset : subsets) {
      auto rows = LoadSplit(args_.local_path, subset, EvalSplit(args_, "val"));
      if (!rows.ok()) {
        // A copy of C-Eval may hold some subjects only, if none is asked for by name.
        if (named || !style_.default_subset.empty() || !absl::IsNotFound(rows.status())) {
          return rows.status();
        }
        missing = rows.status();
        continue;
      }
      VALLM_RETURN_IF_ERROR(AddSubset(subset, *rows, &samples));
    }
    if (samples.empty() && !missing.ok()) return missing;
    return samples;
  }

  Verdict Judge(const Sample& sample, const ModelOutput& output) const override {
    return ChoiceVerdict(ChineseStatedChoice(output.content, style_.letters), sample.target,
                         kAccuracy);
  }

 private:
  absl::Status AddSubset(const std::string& subset, const Rows& rows,
                         std::vector<Sample>* samples) const {
    std::string shots;
    const int few = args_.few_shot_num.value_or(0);
    if (few > 0) {
      VALLM_ASSIGN_OR_RETURN(const Rows examples, LoadExamples(args_, subset, "dev"));
      for (size_t i = 0; i < examples.size() && i < static_cast<size_t>(few); ++i) {
        auto text = Query(*examples[i], /*with_answer=*/true);
        if (!text.ok()) return RowError(subset, i, text.status());
        absl::StrAppend(&shots, i > 0 ? "\n" : "", *text);
      }
      shots = std::string(Strip(shots));
    }
    for (size_t i = 0; i < rows.size(); ++i) {
      const ordered_json& row = *rows[i];
      auto query = Query(row, /*with_answer=*/false);
      if (!query.ok()) return RowError(subset, i, query.status());
      const auto name = style_.subset_names.find(subset);
      auto prompt = FillTemplate(
          args_.prompt_template.value_or(style_.prompt_template),
          {{"query", shots + *query},
           {"subset_name", name == style_.subset_names.end() ? subset : name->second}});
      if (!prompt.ok()) return prompt.status();
      const std::string answer = TextMember(row, "answer");
      if (answer.size() != 1 || !Contains(style_.letters, answer)) {
        return RowError(subset, i,
                        absl::StrCat("'answer' must be one of the letters ", style_.letters,
                                     ", not '", answer, "'"));
      }
      samples->push_back({.subset = subset,
                          .id = RowId(row, i, {"id"}),
                          .messages = ChatMessages(args_.system_prompt.value_or(""), *prompt),
                          .request = nullptr,
                          .row = rows[i],
                          .target = answer});
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Query(const ordered_json& row, bool with_answer) const {
    std::string choices;
    for (const char letter : style_.letters) {
      const std::string name(1, letter);
      if (!row.contains(name) || row[name].is_null()) continue;
      absl::StrAppend(&choices, choices.empty() ? "" : "\n", name, ". ", TextMember(row, name));
    }
    if (choices.empty() || !row.contains("question")) {
      return absl::InvalidArgumentError("needs columns question, A, B, ...");
    }
    VALLM_ASSIGN_OR_RETURN(
        std::string query,
        FillTemplate(args_.query_template.value_or(style_.query_template),
                     {{"question", TextMember(row, "question")},
                      {"choices", choices},
                      {"answer", with_answer ? TextMember(row, "answer") : ""}}));
    if (with_answer) return query;
    if (style_.strip_query) return std::string(StripRight(query));
    return std::string(StripRight(query)) + " ";
  }

  const DatasetArgs args_;
  const Style style_;
};

class MmluPro : public Dataset {
 public:
  explicit MmluPro(DatasetArgs args) : args_(std::move(args)) {}

  absl::StatusOr<std::vector<Sample>> Load() const override {
    static constexpr const char* kSubjects[] = {
        "computer science", "math",   "chemistry",  "engineering", "law",
        "biology",          "health", "physics",    "business",    "philosophy",
        "economics",        "other",  "psychology", "history"};
    std::vector<std::string> subsets = args_.subset_list;
    if (subsets.empty()) subsets.assign(std::begin(kSubjects), std::end(kSubjects));
    VALLM_ASSIGN_OR_RETURN(const Rows rows,
                           LoadSplit(args_.local_path, "default", EvalSplit(args_, "test")));
    const auto few = static_cast<size_t>(args_.few_shot_num.value_or(5));
    Rows examples;
    if (few > 0) {
      VALLM_ASSIGN_OR_RETURN(examples, LoadExamples(args_, "default", "validation"));
    }
    std::vector<Sample> samples;
    for (const std::string& subset : subsets) {
      VALLM_ASSIGN_OR_RETURN(const std::string shots, Shots(subset, examples, few));
      const size_t before = samples.size();
      for (size_t i = 0; i < rows.size(); ++i) {
        if (Lower(TextMember(*rows[i], "category")) != Lower(subset)) continue;
        VALLM_RETURN_IF_ERROR(Add(subset, shots, rows[i], i, &samples));
      }
      if (samples.size() == before && !args_.subset_list.empty()) {
        return absl::NotFoundError(
            absl::StrCat("no row of ", args_.local_path, " has category '", subset, "'"));
      }
    }
    return samples;
  }

  Verdict Judge(const Sample& sample, const ModelOutput& output) const override {
    return ChoiceVerdict(FirstStatedChoice(output.content, kLetters), sample.target, kAccuracy);
  }

 private:
  static absl::StatusOr<std::string> Options(const ordered_json& row) {
    if (!row.contains("options") || !row["options"].is_array()) {
      return absl::InvalidArgumentError("'options' must be a list");
    }
    std::string text = "Options are:\n";
    for (size_t i = 0; i < row["options"].size() && i < sizeof(kLetters) - 1; ++i) {
      const ordered_json& option = row["options"][i];
      absl::StrAppend(&text, "(", std::string(1, kLetters[i]),
                      "): ", option.is_string() ? option.get<std::string>() : option.dump(), "\n");
    }
    return text;
  }

  static absl::StatusOr<std::string> Shots(const std::string& subset, const Rows& examples,
                                           size_t few) {
    std::string text;
    size_t taken = 0;
    for (size_t i = 0; i < examples.size() && taken < few; ++i) {
      const ordered_json& row = *examples[i];
      if (Lower(TextMember(row, "category")) != Lower(subset)) continue;
      auto options = Options(row);
      if (!options.ok()) return RowError(subset, i, options.status());
      absl::StrAppend(&text, "Q: ", TextMember(row, "question"), "\n", *options, "\n",
                      TextMember(row, "cot_content"), "\n\n");
      ++taken;
    }
    return text;
  }

  absl::Status Add(const std::string& subset, const std::string& shots, const JsonRef& row,
                   size_t index, std::vector<Sample>* samples) const {
    auto options = Options(*row);
    if (!options.ok()) return RowError(subset, index, options.status());
    const std::string target = TextMember(*row, "answer");
    if (target.size() != 1 || !Contains(kLetters, target)) {
      return RowError(subset, index, absl::StrCat("'answer' is no letter: '", target, "'"));
    }
    VALLM_ASSIGN_OR_RETURN(
        const std::string prompt,
        FillTemplate(args_.prompt_template.value_or(
                         "The following are multiple choice questions (with answers) about "
                         "{subset_name}. Think step by step and then finish your answer with \"the "
                         "answer is (X)\" where X is the correct letter choice.\n{query}"),
                     {{"subset_name", subset},
                      {"query", absl::StrCat(shots, "Q: ", TextMember(*row, "question"), "\n",
                                             *options, "\n")}}));
    samples->push_back({.subset = subset,
                        .id = RowId(*row, index, {"question_id", "id"}),
                        .messages = ChatMessages(args_.system_prompt.value_or(""), prompt),
                        .request = nullptr,
                        .row = row,
                        .target = target});
    return absl::OkStatus();
  }

  const DatasetArgs args_;
};

// A permutation of 0..3 that depends on the seed and the row alone.
std::vector<size_t> Shuffled(int64_t seed, size_t row) {
  std::vector<size_t> order = {0, 1, 2, 3};
  uint64_t state = static_cast<uint64_t>(seed) * 0x9E3779B97F4A7C15U + row;
  for (size_t i = order.size() - 1; i > 0; --i) {
    state += 0x9E3779B97F4A7C15U;  // splitmix64
    uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    std::swap(order[i], order[(z ^ (z >> 31)) % (i + 1)]);
  }
  return order;
}

class Gpqa : public Dataset {
 public:
  Gpqa(DatasetArgs args, int64_t seed) : args_(std::move(args)), seed_(seed) {}

  absl::StatusOr<std::vector<Sample>> Load() const override {
    std::vector<std::string> subsets = args_.subset_list;
    const bool named = !subsets.empty();
    if (!named) subsets = {"gpqa_extended", "gpqa_main", "gpqa_diamond"};
    VALLM_ASSIGN_OR_RETURN(const std::string prefix, Prefix());
    std::vector<Sample> samples;
    absl::Status missing;
    for (const std::string& subset : subsets) {
      const auto rows = LoadSplit(args_.local_path, subset, EvalSplit(args_, "train"));
      if (!rows.ok()) {
        if (named || !absl::IsNotFound(rows.status())) return rows.status();
        missing = rows.status();
        continue;
      }
      for (size_t i = 0; i < rows->size(); ++i) {
        VALLM_RETURN_IF_ERROR(Add(subset, prefix, (*rows)[i], i, &samples));
      }
    }
    if (samples.empty() && !missing.ok()) return missing;
    return samples;
  }

  Verdict Judge(const Sample& sample, const ModelOutput& output) const override {
    return ChoiceVerdict(LastLoneChoice(output.content), sample.target, "AveragePass@1");
  }

 private:
  // Examples are a text of their own that comes with GPQA's code.
  absl::StatusOr<std::string> Prefix() const {
    if (args_.few_shot_num.value_or(0) == 0) return "What is the correct answer to this question:";
    auto text = ReadFile(args_.local_path + "/chain_of_thought.txt");
    if (!text.ok()) {
      return absl::NotFoundError(absl::StrCat("few_shot_num above 0 needs the examples of GPQA as ",
                                              args_.local_path,
                                              "/chain_of_thought.txt; or set few_shot_num: 0"));
    }
    return absl::StrCat(
        "Here are some example questions from experts. Answer the final question yourself, "
        "following the format of the previous questions exactly.\n",
        *text, "\nQuestion: ");
  }

  static std::string Cleaned(const std::string& text) {
    static const Regex& bracketed = *new Regex(Regex::Of(R"(\[.*?\])"));
    if (text.empty()) return " ";
    const std::string title = ReplaceEach(Strip(text), " [title]", ". ");
    return ReplaceEach(bracketed.Replace(title, ""), "  ", " ");
  }

  absl::Status Add(const std::string& subset, const std::string& prefix, const JsonRef& row,
                   size_t index, std::vector<Sample>* samples) const {
    std::vector<std::string> choices;
    for (const char* name :
         {"Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3", "Correct Answer"}) {
      if (!row->contains(name)) {
        return RowError(subset, index, absl::StrCat("has no column '", name, "'"));
      }
      choices.push_back(Cleaned(TextMember(*row, name)));
    }
    const std::vector<size_t> order = Shuffled(seed_, index);
    std::string query = absl::StrCat(prefix, TextMember(*row, "Question"), "\nChoices:\n");
    std::string target;
    for (size_t i = 0; i < order.size(); ++i) {
      const std::string letter(1, kLetters[i]);
      absl::StrAppend(&query, "(", letter, ") ", choices[order[i]], "\n");
      if (choices[order[i]] == choices[3] && target.empty()) target = letter;
    }
    VALLM_ASSIGN_OR_RETURN(
        const std::string prompt,
        FillTemplate(args_.prompt_template.value_or("{query}\nPlease reason step by step, and put "
                                                    "your final answer within \\boxed{{}}."),
                     {{"query", query}}));
    samples->push_back({.subset = subset,
                        .id = RowId(*row, index, {"Record ID"}),
                        .messages = ChatMessages(args_.system_prompt.value_or(""), prompt),
                        .request = nullptr,
                        .row = row,
                        .target = target});
    return absl::OkStatus();
  }

  const DatasetArgs args_;
  const int64_t seed_;
};

}  // namespace

DatasetOr MakeGeneralMcq(const DatasetArgs& args, int64_t) {
  return std::make_unique<TableChoices>(
      args, TableChoices::Style{.letters = kLetters,
                                .prompt_template = "请回答问题，并选出其中的正确答案\n{query}",
                                .query_template = "问题：{question}\n{choices}\n答案: {answer}\n\n",
                                .subset_names = {},
                                .default_subset = "default",
                                .strip_query = true});
}

DatasetOr MakeCeval(const DatasetArgs& args, int64_t) {
  std::map<std::string, std::string> names(CevalSubjects().begin(), CevalSubjects().end());
  return std::make_unique<TableChoices>(
      args, TableChoices::Style{
                .letters = "ABCD",
                .prompt_template =
                    "以下是中国关于{subset_name}考试的单项选择题，请选出其中的正确答案。你的回答的"
                    "最后一行应该是这样的格式：“答案是：LETTER”（不带引号），其中 LETTER 是 "
                    "A、B、C、D 中的一个。\n{query}",
                .query_template = "问题：{question}\n{choices}\n答案: {answer}\n\n",
                .subset_names = std::move(names),
                .default_subset = "",
                .strip_query = false});
}

DatasetOr MakeMmluPro(const DatasetArgs& args, int64_t) { return std::make_unique<MmluPro>(args); }

DatasetOr MakeGpqa(const DatasetArgs& args, int64_t seed) {
  return std::make_unique<Gpqa>(args, seed);
}

}  // namespace vallm::eval
