#include "tools/eval/ifeval/instructions.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/strings.h"
#include "tools/eval/text/language_guess.h"
#include "tools/eval/text/regex.h"
#include "tools/eval/text/sentences.h"
#include "tools/eval/text/unicode_text.h"

namespace vallm::eval {
namespace {

using nlohmann::ordered_json;

constexpr char kLessThan[] = "less than";
constexpr char kAtLeast[] = "at least";

std::string Text(const ordered_json& p, const char* name) { return p.at(name).get<std::string>(); }
int64_t Count(const ordered_json& p, const char* name) { return p.at(name).get<int64_t>(); }
std::vector<std::string> List(const ordered_json& p, const char* name) {
  return p.at(name).get<std::vector<std::string>>();
}

bool InRelation(int64_t count, const ordered_json& p, const char* relation, const char* threshold) {
  return Text(p, relation) == kLessThan ? count < Count(p, threshold)
                                        : count >= Count(p, threshold);
}

// A keyword is a regular expression to the reference; one that is malformed is taken literally.
Regex Keyword(const std::string& keyword, bool whole_word) {
  const std::string edge = whole_word ? "\\b" : "";
  auto regex = Regex::Compile(edge + keyword + edge, {.ignore_case = true});
  if (regex.ok()) return *std::move(regex);
  return Regex::Of(edge + EscapeRegex(keyword) + edge, {.ignore_case = true});
}

int64_t Matches(const Regex& regex, std::string_view text) {
  return static_cast<int64_t>(regex.FindAll(text).size());
}

std::string WithoutPrefix(std::string text, std::string_view prefix) {
  return text.rfind(prefix, 0) == 0 ? text.substr(prefix.size()) : text;
}

bool KeywordsExist(const ordered_json& p, const std::string& response) {
  const auto keywords = List(p, "keywords");
  return std::all_of(keywords.begin(), keywords.end(), [&](const std::string& keyword) {
    return Keyword(keyword, /*whole_word=*/false).Matches(response);
  });
}

bool KeywordFrequency(const ordered_json& p, const std::string& response) {
  const Regex keyword = Keyword(std::string(Strip(Text(p, "keyword"))), /*whole_word=*/false);
  return InRelation(Matches(keyword, response), p, "relation", "frequency");
}

bool NoForbiddenWords(const ordered_json& p, const std::string& response) {
  const auto words = List(p, "forbidden_words");
  return std::none_of(words.begin(), words.end(), [&](const std::string& word) {
    return Keyword(word, /*whole_word=*/true).Matches(response);
  });
}

bool LetterFrequency(const ordered_json& p, const std::string& response) {
  const std::vector<char32_t> letter = Characters(Lower(Strip(Text(p, "letter"))));
  const std::vector<char32_t> characters = Characters(Lower(response));
  const auto count =
      letter.size() == 1 ? std::count(characters.begin(), characters.end(), letter[0]) : 0;
  return InRelation(count, p, "let_relation", "let_frequency");
}

bool ResponseLanguage(const ordered_json& p, const std::string& response) {
  const std::string language = GuessLanguage(response);
  return language.empty() || language == Text(p, "language") ||
         (language == "zh-cn" && Text(p, "language") == "zh");
}

bool NumberSentences(const ordered_json& p, const std::string& response) {
  return InRelation(static_cast<int64_t>(Sentences(response).size()), p, "relation",
                    "num_sentences");
}

bool NumberParagraphs(const ordered_json& p, const std::string& response) {
  static const Regex& divider = *new Regex(Regex::Of(R"(\s?\*\*\*\s?)"));
  const auto paragraphs = divider.Split(response);
  auto count = static_cast<int64_t>(paragraphs.size());
  for (size_t i = 0; i < paragraphs.size(); ++i) {
    if (!Strip(paragraphs[i]).empty()) continue;
    if (i != 0 && i + 1 != paragraphs.size()) return false;
    --count;
  }
  return count == Count(p, "num_paragraphs");
}

bool NumberWords(const ordered_json& p, const std::string& response) {
  static const Regex& word = *new Regex(Regex::Of(R"(\w+)"));
  return InRelation(Matches(word, response), p, "relation", "num_words");
}

bool NthParagraphFirstWord(const ordered_json& p, const std::string& response) {
  const auto paragraphs = SplitAt(response, "\n\n");
  const auto filled = std::count_if(paragraphs.begin(), paragraphs.end(),
                                    [](std::string_view text) { return !Strip(text).empty(); });
  const int64_t nth = Count(p, "nth_paragraph");
  if (nth < 1 || nth > filled) return false;
  const auto words = Words(paragraphs[static_cast<size_t>(nth) - 1]);
  if (words.empty()) return false;
  std::string_view word = words[0];
  for (const char quote : {'\'', '"'}) {
    while (!word.empty() && word[0] == quote) word.remove_prefix(1);
  }
  const std::string first = Lower(word.substr(0, word.find_first_of(".,?!'\"")));
  return filled == Count(p, "num_paragraphs") && first == Lower(Text(p, "first_word"));
}

bool NumberPlaceholders(const ordered_json& p, const std::string& response) {
  static const Regex& placeholder = *new Regex(Regex::Of(R"(\[.*?\])"));
  return Matches(placeholder, response) >= Count(p, "num_placeholders");
}

bool Postscript(const ordered_json& p, const std::string& response) {
  const std::string marker(Strip(Text(p, "postscript_marker")));
  std::string pattern = Lower(marker);
  if (marker == "P.P.S") pattern = R"(p\.\s?p\.\s?s)";
  if (marker == "P.S.") pattern = R"(p\.\s?s\.)";
  auto regex = Regex::Compile(R"(\s*)" + pattern + ".*$", {.multiline = true});
  if (!regex.ok()) regex = Regex::Compile(EscapeRegex(pattern));
  return regex->Matches(Lower(response));
}

bool NumberBulletLists(const ordered_json& p, const std::string& response) {
  static const Regex& star = *new Regex(Regex::Of(R"(^\s*\*[^\*].*$)", {.multiline = true}));
  static const Regex& dash = *new Regex(Regex::Of(R"(^\s*-.*$)", {.multiline = true}));
  return Matches(star, response) + Matches(dash, response) == Count(p, "num_bullets");
}

bool ConstrainedResponse(const ordered_json&, const std::string& response) {
  for (const char* option : {"My answer is yes.", "My answer is no.", "My answer is maybe."}) {
    if (Contains(response, option)) return true;
  }
  return false;
}

bool HighlightedSections(const ordered_json& p, const std::string& response) {
  static const Regex& single = *new Regex(Regex::Of(R"(\*[^\n\*]*\*)"));
  static const Regex& twofold = *new Regex(Regex::Of(R"(\*\*[^\n\*]*\*\*)"));
  int64_t count = 0;
  for (const Regex* regex : {&single, &twofold}) {
    for (const Regex::Match& match : regex->FindAll(response)) {
      count += Strip(StripOf(match[0], "*")).empty() ? 0 : 1;
    }
  }
  return count >= Count(p, "num_highlights");
}

bool MultipleSections(const ordered_json& p, const std::string& response) {
  const std::string splitter(Strip(Text(p, "section_spliter")));
  auto regex = Regex::Compile(R"(\s?)" + splitter + R"(\s?\d+\s?)");
  if (!regex.ok()) regex = Regex::Compile(R"(\s?)" + EscapeRegex(splitter) + R"(\s?\d+\s?)");
  return Matches(*regex, response) >= Count(p, "num_sections");
}

bool JsonFormat(const ordered_json&, const std::string& response) {
  std::string text(Strip(response));
  for (const char* fence : {"```json", "```Json", "```JSON", "```"})
    text = WithoutPrefix(text, fence);
  if (text.size() >= 3 && text.substr(text.size() - 3) == "```") text.resize(text.size() - 3);
  // As Python's json.loads, these constants too.
  static const Regex& constant = *new Regex(Regex::Of(R"(^-?(NaN|Infinity)$)"));
  return ordered_json::accept(std::string(Strip(text))) || constant.Matches(Strip(text));
}

bool Title(const ordered_json&, const std::string& response) {
  static const Regex& title = *new Regex(Regex::Of(R"(<<[^\n]+>>)"));
  for (const Regex::Match& match : title.FindAll(response)) {
    if (!Strip(StripOf(match[0], "<>")).empty()) return true;
  }
  return false;
}

bool TwoResponses(const ordered_json&, const std::string& response) {
  const auto parts = SplitAt(response, "******");
  std::vector<std::string_view> answers;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (!Strip(parts[i]).empty()) {
      answers.push_back(Strip(parts[i]));
    } else if (i != 0 && i + 1 != parts.size()) {
      return false;
    }
  }
  return answers.size() == 2 && answers[0] != answers[1];
}

bool RepeatPrompt(const ordered_json& p, const std::string& response) {
  const std::string prompt = Lower(Strip(Text(p, "prompt_to_repeat")));
  return Lower(Strip(response)).rfind(prompt, 0) == 0;
}

bool EndChecker(const ordered_json& p, const std::string& response) {
  const std::string text = Lower(StripOf(Strip(response), "\""));
  const std::string end = Lower(Strip(Text(p, "end_phrase")));
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

bool CapitalWordFrequency(const ordered_json& p, const std::string& response) {
  const auto words = TreebankWords(response);
  const auto count = std::count_if(words.begin(), words.end(),
                                   [](const std::string& word) { return IsUpper(word); });
  return InRelation(count, p, "capital_relation", "capital_frequency");
}

// Whether it is English, or cannot be told.
bool MayBeEnglish(const std::string& response) {
  const std::string language = GuessLanguage(response);
  return language.empty() || language == "en";
}

bool EnglishCapital(const ordered_json&, const std::string& response) {
  return GuessLanguage(response).empty() || (IsUpper(response) && MayBeEnglish(response));
}

bool EnglishLowercase(const ordered_json&, const std::string& response) {
  return GuessLanguage(response).empty() || (IsLower(response) && MayBeEnglish(response));
}

bool NoComma(const ordered_json&, const std::string& response) { return !Contains(response, ","); }

bool Quotation(const ordered_json&, const std::string& response) {
  const std::string_view text = Strip(response);
  return text.size() > 1 && text.front() == '"' && text.back() == '"';
}

enum ParameterType { kCount, kText, kTexts, kRelation };
struct Parameter {
  const char* name;
  ParameterType type;
};
struct Instruction {
  const char* name;
  bool (*follows)(const ordered_json& parameters, const std::string& response);
  std::vector<Parameter> parameters;
};

const std::vector<Instruction>& Instructions() {
  static const auto& list = *new std::vector<Instruction>{
      {"keywords:existence", KeywordsExist, {{"keywords", kTexts}}},
      {"keywords:frequency",
       KeywordFrequency,
       {{"keyword", kText}, {"frequency", kCount}, {"relation", kRelation}}},
      {"keywords:forbidden_words", NoForbiddenWords, {{"forbidden_words", kTexts}}},
      {"keywords:letter_frequency",
       LetterFrequency,
       {{"letter", kText}, {"let_frequency", kCount}, {"let_relation", kRelation}}},
      {"language:response_language", ResponseLanguage, {{"language", kText}}},
      {"length_constraints:number_sentences",
       NumberSentences,
       {{"num_sentences", kCount}, {"relation", kRelation}}},
      {"length_constraints:number_paragraphs", NumberParagraphs, {{"num_paragraphs", kCount}}},
      {"length_constraints:number_words",
       NumberWords,
       {{"num_words", kCount}, {"relation", kRelation}}},
      {"length_constraints:nth_paragraph_first_word",
       NthParagraphFirstWord,
       {{"num_paragraphs", kCount}, {"nth_paragraph", kCount}, {"first_word", kText}}},
      {"detectable_content:number_placeholders",
       NumberPlaceholders,
       {{"num_placeholders", kCount}}},
      {"detectable_content:postscript", Postscript, {{"postscript_marker", kText}}},
      {"detectable_format:number_bullet_lists", NumberBulletLists, {{"num_bullets", kCount}}},
      {"detectable_format:constrained_response", ConstrainedResponse, {}},
      {"detectable_format:number_highlighted_sections",
       HighlightedSections,
       {{"num_highlights", kCount}}},
      {"detectable_format:multiple_sections",
       MultipleSections,
       {{"section_spliter", kText}, {"num_sections", kCount}}},
      {"detectable_format:json_format", JsonFormat, {}},
      {"detectable_format:title", Title, {}},
      {"combination:two_responses", TwoResponses, {}},
      {"combination:repeat_prompt", RepeatPrompt, {{"prompt_to_repeat", kText}}},
      {"startend:end_checker", EndChecker, {{"end_phrase", kText}}},
      {"change_case:capital_word_frequency",
       CapitalWordFrequency,
       {{"capital_frequency", kCount}, {"capital_relation", kRelation}}},
      {"change_case:english_capital", EnglishCapital, {}},
      {"change_case:english_lowercase", EnglishLowercase, {}},
      {"punctuation:no_comma", NoComma, {}},
      {"startend:quotation", Quotation, {}},
  };
  return list;
}

const Instruction* Find(std::string_view name) {
  for (const Instruction& instruction : Instructions()) {
    if (name == instruction.name) return &instruction;
  }
  return nullptr;
}

bool HasType(const ordered_json& value, ParameterType type) {
  switch (type) {
    case kCount:
      return value.is_number_integer() ||
             (value.is_number_float() && value.get<double>() == value.get<int64_t>());
    case kText:
      return value.is_string();
    case kTexts:
      return value.is_array() && std::all_of(value.begin(), value.end(),
                                             [](const ordered_json& v) { return v.is_string(); });
    case kRelation:
      return value == kLessThan || value == kAtLeast;
  }
  return false;
}

}  // namespace

std::vector<std::string> InstructionNames() {
  std::vector<std::string> names;
  for (const Instruction& instruction : Instructions()) names.emplace_back(instruction.name);
  return names;
}

absl::Status CheckInstruction(std::string_view name, const ordered_json& parameters) {
  const Instruction* instruction = Find(name);
  if (instruction == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("no instruction '", ToAbsl(name), "'"));
  }
  for (const Parameter& parameter : instruction->parameters) {
    const auto value = parameters.find(parameter.name);
    if (value == parameters.end() || !HasType(*value, parameter.type)) {
      return absl::InvalidArgumentError(
          absl::StrCat("instruction ", ToAbsl(name), ": '", parameter.name, "' must be ",
                       parameter.type == kCount   ? "an integer"
                       : parameter.type == kText  ? "a string"
                       : parameter.type == kTexts ? "a list of strings"
                                                  : "'less than' or 'at least'"));
    }
  }
  return absl::OkStatus();
}

bool Follows(std::string_view name, const ordered_json& parameters, const std::string& response) {
  return !Strip(response).empty() && Find(name)->follows(parameters, response);
}

std::vector<std::string> LooseVariants(const std::string& response) {
  const auto lines = SplitAt(response, "\n");
  const auto joined = [&lines](size_t begin, size_t end) {
    std::string text;
    for (size_t i = begin; i < end; ++i) {
      if (i > begin) text += '\n';
      text += lines[i];
    }
    return std::string(Strip(text));
  };
  const size_t last = lines.size() - 1;
  std::vector<std::string> variants = {response, joined(1, lines.size()), joined(0, last),
                                       joined(1, std::max<size_t>(last, 1))};
  for (size_t i = 0; i < 4; ++i) variants.push_back(ReplaceEach(variants[i], "*", ""));
  return variants;
}

}  // namespace vallm::eval
