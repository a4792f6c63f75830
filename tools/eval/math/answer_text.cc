#include "tools/eval/math/answer_text.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/strings.h"
#include "tools/eval/math/number_words.h"
#include "tools/eval/text/regex.h"
#include "tools/eval/text/unicode_text.h"

namespace vallm::eval {
namespace {

bool StartsWith(std::string_view text, std::string_view with) {
  return text.substr(0, with.size()) == with;
}
bool EndsWith(std::string_view text, std::string_view with) {
  return text.size() >= with.size() && text.substr(text.size() - with.size()) == with;
}

// What follows the last `phrase` of `text`. REQUIRES: there is one.
std::string_view BehindLast(std::string_view text, std::string_view phrase) {
  return text.substr(text.rfind(phrase) + phrase.size());
}

// The content of the group that `text` begins with, or all behind the brace when it is not closed.
std::string_view Braced(std::string_view text) {
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    depth += text[i] == '{' ? 1 : text[i] == '}' ? -1 : 0;
    if (depth == 0) return text.substr(1, i - 1);
  }
  return text.substr(1);
}

std::string_view LastBoxed(std::string_view text) {
  const std::string_view behind = BehindLast(text, "boxed");
  if (StartsWith(behind, "{")) return Braced(behind);
  return Strip(behind.substr(0, behind.find('$')));
}

std::string LastNumber(std::string_view text) {
  static const Regex& number = *new Regex(Regex::Of(R"(-?\d*\.?\d+)"));
  const std::string without_commas = ReplaceEach(text, ",", "");
  const auto found = number.FindAll(without_commas);
  return found.empty() ? "" : std::string(found.back()[0]);
}

std::string AnswerPassage(std::string_view text) {
  constexpr std::string_view kMinervaBegin = "final answer is $";
  constexpr std::string_view kMinervaEnd = "$. I hope";
  if (Contains(text, kMinervaBegin) && Contains(text, kMinervaEnd)) {
    const std::string_view behind = text.substr(text.find(kMinervaBegin) + kMinervaBegin.size());
    return std::string(Strip(behind.substr(0, behind.find(kMinervaEnd))));
  }
  if (Contains(text, "boxed")) return std::string(LastBoxed(text));
  for (const std::string_view phrase : {"he answer is", "final answer is"}) {
    if (Contains(text, phrase)) return std::string(Strip(BehindLast(text, phrase)));
  }
  constexpr std::string_view kChinese = "答案是";
  if (Contains(text, kChinese)) {
    std::string_view behind = text.substr(text.find(kChinese) + kChinese.size());
    behind = Strip(behind.substr(0, behind.find(kChinese)));
    return std::string(Strip(behind.substr(0, behind.find("\n\n"))));
  }
  return LastNumber(text);
}

// \text{five} as 5; other words stay as they are.
std::string DigitsForTextWords(std::string_view text) {
  static const Regex& word = *new Regex(Regex::Of(R"(\\text\{([a-zA-Z]+)\})"));
  return word.Replace(text, [](const Regex::Match& match) {
    return NumberFromWords(match[1]).value_or(std::string(match[0]));
  });
}

// Without a \text{...} at the end: a unit, unless it is all there is.
std::string WithoutTextAtEnd(std::string text) {
  static const Regex& squared = *new Regex(Regex::Of(R"((cm|inches)\}\^2)"));
  static const Regex& at_end = *new Regex(Regex::Of(R"(\\text\{.*?\}$)"));
  text = squared.Replace(text, [](const Regex::Match& m) { return std::string(m[1]) + "}"; });
  const std::string rest(Strip(at_end.Replace(text, "")));
  return rest.empty() || rest == text ? text : rest;
}

// Braces around the arguments of \frac where they were left out: \frac12, \frac1{72}.
std::string WithFracBraces(const std::string& text) {
  const std::vector<std::string_view> parts = SplitAt(text, "\\frac");
  std::string result(parts[0]);
  for (size_t i = 1; i < parts.size(); ++i) {
    const std::string_view part = parts[i];
    result += "\\frac";
    if (StartsWith(part, "{")) {
      result += part;
    } else if (part.size() < 2) {
      return text;
    } else if (part[1] == '{') {
      result += absl::StrCat("{", ToAbsl(part.substr(0, 1)), "}", ToAbsl(part.substr(1)));
    } else {
      result += absl::StrCat("{", ToAbsl(part.substr(0, 1)), "}{", ToAbsl(part.substr(1, 1)), "}",
                             ToAbsl(part.substr(2)));
    }
  }
  return result;
}

// a/b as \frac{a}{b}, for integers and roots.
std::string FracForSlash(const std::string& text) {
  const std::vector<std::string_view> parts = SplitAt(text, "/");
  if (parts.size() != 2) return text;
  for (const std::string_view part : parts) {
    int64_t value = 0;
    if (Contains(part, "sqrt")) continue;
    if (!absl::SimpleAtoi(ToAbsl(part), &value) || absl::StrCat(value) != part) return text;
  }
  return absl::StrCat("\\frac{", ToAbsl(parts[0]), "}{", ToAbsl(parts[1]), "}");
}

// "3,1,2" as "1,2,3"; anything but integers stays, and so does one integer set off by thousands.
std::string SortedIntegers(std::string text) {
  static const Regex& list = *new Regex(Regex::Of(R"(^(\s*-?\d+\s*,)*\s*-?\d+\s*$)"));
  static const Regex& thousands = *new Regex(Regex::Of(R"(^-?[1-9]\d{0,2}(,\d{3})+$)"));
  if (!list.Matches(text) || EndsWith(text, "\n") || thousands.Matches(text)) return text;
  std::vector<int64_t> values;
  for (const std::string_view part : SplitAt(text, ",")) {
    int64_t value = 0;
    if (!absl::SimpleAtoi(ToAbsl(part), &value)) return text;
    values.push_back(value);
  }
  std::sort(values.begin(), values.end());
  text.clear();
  for (const int64_t value : values) absl::StrAppend(&text, text.empty() ? "" : ",", value);
  return text;
}

std::string ReplaceAllOf(std::string text,
                         std::initializer_list<std::pair<std::string_view, std::string_view>> by) {
  for (const auto& [from, to] : by) text = ReplaceEach(text, from, to);
  return text;
}

// Spellings of LaTeX that say the same.
std::string OneLatexSpelling(std::string text) {
  static const Regex& array = *new Regex(Regex::Of(R"(\\begin\{array\}\{.*?\})"));
  text = ReplaceAllOf(std::move(text), {{"\n", ""}});
  while (EndsWith(text, ".")) text.pop_back();
  text = array.Replace(ReplaceEach(text, "\\!", ""), "\\begin{pmatrix}");
  return ReplaceAllOf(std::move(text), {{"\\end{array}", "\\end{pmatrix}"},
                                        {"bmatrix", "pmatrix"},
                                        {"tfrac", "frac"},
                                        {"dfrac", "frac"},
                                        {"\\neq", "\\ne"},
                                        {"\\leq", "\\le"},
                                        {"\\geq", "\\ge"},
                                        {"\\left", ""},
                                        {"\\right", ""},
                                        {"\\{", "{"},
                                        {"\\}", "}"}});
}

// Without names of the unknown, degrees, currency, percent and words that carry no value.
std::string WithoutDecoration(std::string text) {
  static const Regex& word = *new Regex(Regex::Of(R"(\\text\{(.*?)\})"));
  static const Regex& box = *new Regex(Regex::Of(R"(\\mbox\{.*?\})"));
  text = ReplaceAllOf(
      std::move(text),
      {{"^{\\circ}", ""}, {"^\\circ", ""}, {"\\$", ""}, {"$", ""}, {"\\(", ""}, {"\\)", ""}});
  text = NumberFromWords(text).value_or(text);
  text = word.Replace(text, [](const Regex::Match& m) { return std::string(m[1]); });
  for (const char* key : {"x=", "y=", "z=", "x\\in", "y\\in", "z\\in", "x\\to", "y\\to", "z\\to"}) {
    text = ReplaceEach(text, key, "");
  }
  text = ReplaceAllOf(std::move(text), {{"\\emptyset", "{}"},
                                        {"(-\\infty,\\infty)", "\\mathbb{R}"},
                                        {"\\%", ""},
                                        {"%", ""},
                                        {" .", " 0."},
                                        {"{.", "{0."},
                                        {"infinity", "\\infty"}});
  if (!Contains(text, "\\infty")) text = ReplaceEach(text, "inf", "\\infty");
  text = ReplaceAllOf(std::move(text), {{"and", ""}, {"\\mathbf", ""}});
  text = box.Replace(text, "");
  if (Contains(text, "j") && !Contains(text, "i")) text = ReplaceEach(text, "j", "i");
  return text;
}

// 2.0 as 2, .5 as 0.5, "k = 3" as 3.
std::string PlainNumber(std::string text) {
  static const Regex& zeros_inside = *new Regex(Regex::Of(R"((\d+)\.0*([^\d]))"));
  static const Regex& zeros_at_end = *new Regex(Regex::Of(R"((\d+)\.0*$)"));
  text = zeros_inside.Replace(
      text, [](const Regex::Match& m) { return std::string(m[1]) + std::string(m[2]); });
  text = zeros_at_end.Replace(text, [](const Regex::Match& m) { return std::string(m[1]); });
  if (StartsWith(text, ".")) text = "0" + text;
  const std::vector<std::string_view> sides = SplitAt(text, "=");
  if (sides.size() == 2 && Characters(sides[0]).size() <= 2) return std::string(sides[1]);
  return text;
}

}  // namespace

std::string ExtractMathAnswer(std::string_view text) {
  static const Regex& line_break = *new Regex(Regex::Of("\\n\\s*"));
  std::string answer = line_break.Replace(AnswerPassage(text), "");
  if (StartsWith(answer, ":")) answer.erase(0, 1);
  if (EndsWith(answer, ".")) answer.pop_back();
  if (EndsWith(answer, "/")) answer.pop_back();
  return NormalMathAnswer(NormalMathAnswer(answer));
}

std::string NormalMathAnswer(std::string_view answer) {
  static const Regex& bare_root = *new Regex(Regex::Of(R"(\\sqrt(\w+))"));
  static const Regex& bare_backslash = *new Regex(Regex::Of(R"(\\(?=\-?\d+(\\|\)|,|\]|$)))"));
  std::string text = OneLatexSpelling(std::string(Strip(answer)));
  text = WithoutTextAtEnd(DigitsForTextWords(text));
  text = PlainNumber(WithoutDecoration(std::move(text)));
  text = bare_root.Replace(
      text, [](const Regex::Match& m) { return "\\sqrt{" + std::string(m[1]) + "}"; });
  text = ReplaceEach(text, " ", "");
  text = FracForSlash(WithFracBraces(text));
  text = bare_backslash.Replace(text, "");
  if (EndsWith(text, "thgrade")) text.resize(text.size() - 7);
  return SortedIntegers(std::move(text));
}

}  // namespace vallm::eval
