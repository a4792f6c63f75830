#include "tools/eval/math/equality.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <optional>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/strings.h"
#include "tools/eval/math/answer_text.h"
#include "tools/eval/math/expression.h"
#include "tools/eval/text/regex.h"
#include "tools/eval/text/unicode_text.h"

namespace vallm::eval {
namespace {

// Answers may nest sets in tuples in unions, but not without end.
constexpr int kMaxDepth = 8;

bool Equal(std::string_view answer, std::string_view reference, int depth);

bool StartsWith(std::string_view text, std::string_view with) {
  return text.substr(0, with.size()) == with;
}
bool Enclosed(std::string_view text, char open, char close) {
  return text.size() >= 2 && text.front() == open && text.back() == close;
}

// A number, with thousands set off by commas; "12%" and "12\%" are 0.12.
std::optional<double> NumberIn(std::string_view text) {
  std::string digits = ReplaceEach(text, ",", "");
  double value = 0;
  const auto parse = [&value](std::string_view part) {
    const std::string_view bare = Strip(part);
    // Not "inf", "nan" or hexadecimal.
    return bare.find_first_not_of("0123456789.eE+-_") == std::string_view::npos &&
           absl::SimpleAtod(ToAbsl(bare), &value);
  };
  if (parse(digits)) return value;
  if (digits.empty() || digits.back() != '%') return std::nullopt;
  digits.pop_back();
  if (!digits.empty() && digits.back() == '\\') digits.pop_back();
  if (parse(digits)) return value / 100;
  return std::nullopt;
}

bool Close(double a, double b) {
  return a == b || std::abs(a - b) <= 1e-4 * std::max(std::abs(a), std::abs(b));
}

// Splits at `separator` where no bracket is open.
std::vector<std::string_view> SplitOutside(std::string_view text, std::string_view separator) {
  std::vector<std::string_view> parts;
  int open = 0;
  size_t begin = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '(' || c == '[' || c == '{') ++open;
    if (c == ')' || c == ']' || c == '}') --open;
    if (open == 0 && text.substr(i, separator.size()) == separator) {
      parts.push_back(text.substr(begin, i - begin));
      begin = i + separator.size();
      i = begin - 1;
    }
  }
  parts.push_back(text.substr(begin));
  return parts;
}

bool EqualInOrder(const std::vector<std::string_view>& a, const std::vector<std::string_view>& b,
                  int depth) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!Equal(Strip(a[i]), Strip(b[i]), depth)) return false;
  }
  return true;
}

// Each of `a` equals one of `b` and the other way round.
template <typename Strings>
bool EqualAsSets(const Strings& a, const Strings& b, int depth) {
  const auto covered = [depth](const Strings& some, const Strings& others, bool swapped) {
    return std::all_of(some.begin(), some.end(), [&](const auto& x) {
      return std::any_of(others.begin(), others.end(), [&](const auto& y) {
        return swapped ? Equal(Strip(y), Strip(x), depth) : Equal(Strip(x), Strip(y), depth);
      });
    });
  };
  return covered(a, b, /*swapped=*/false) && covered(b, a, /*swapped=*/true);
}

// The last of the letters A to E that stands alone, as the choice that an answer names.
std::string ChoiceNamed(std::string_view text) {
  static const Regex& letter = *new Regex(Regex::Of(R"(\b(A|B|C|D|E)\b)"));
  const std::string upper = Upper(text);
  const auto found = letter.FindAll(upper);
  return found.empty() ? "" : std::string(found.back()[1]);
}

bool EqualWithoutBrackets(std::string_view answer, std::string_view reference) {
  std::string a(answer), r(reference);
  if ((Enclosed(answer, '[', ']') && !StartsWith(reference, "(")) ||
      (Enclosed(answer, '(', ')') && !StartsWith(reference, "["))) {
    a = std::string(StripOf(a, "[]()"));
    r = std::string(StripOf(r, "[]()"));
  }
  for (const char* bracket : {"{", "}", "(", ")"}) {
    a = ReplaceEach(a, bracket, "");
    r = ReplaceEach(r, bracket, "");
  }
  return Lower(a) == Lower(r);
}

// "(a,b" or "[a,b)" by their parts. EvalScope does not tell kinds of brackets apart here.
bool EqualTuples(std::string_view answer, std::string_view reference, int depth) {
  const auto bracketed = [](std::string_view text) {
    return text.size() >= 3 && (text.front() == '(' || text.front() == '[') &&
           (text.back() == ')' || text.back() == ']');
  };
  if (!bracketed(answer) || !bracketed(reference)) return false;
  return EqualInOrder(SplitOutside(answer.substr(1, answer.size() - 2), ","),
                      SplitOutside(reference.substr(1, reference.size() - 2), ","), depth);
}

constexpr std::string_view kMatrixBegin = "\\begin{pmatrix}";
constexpr std::string_view kMatrixEnd = "\\end{pmatrix}";

bool IsMatrix(std::string_view text) {
  return StartsWith(text, kMatrixBegin) && text.size() >= kMatrixBegin.size() + kMatrixEnd.size() &&
         text.substr(text.size() - kMatrixEnd.size()) == kMatrixEnd;
}

std::vector<std::string_view> MatrixRows(std::string_view text) {
  text.remove_prefix(kMatrixBegin.size());
  text.remove_suffix(kMatrixEnd.size());
  std::vector<std::string_view> rows;
  for (const std::string_view row : SplitAt(text, "\\\\")) {
    if (!Strip(row).empty()) rows.push_back(Strip(row));
  }
  return rows;
}

bool EqualMatrices(std::string_view answer, std::string_view reference, int depth) {
  const auto a = MatrixRows(answer);
  const auto r = MatrixRows(reference);
  if (a.size() != r.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!EqualInOrder(SplitOutside(a[i], "&"), SplitOutside(r[i], "&"), depth)) return false;
  }
  return true;
}

// Four letters and more with nothing else are a word, not a product: "odd", but not "xy".
bool IsWord(std::string_view text) {
  return text.size() >= 4 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
         });
}

bool SameExpression(std::string_view a, std::string_view b) {
  if (IsWord(a) && IsWord(b)) return false;  // the same word was found before
  const auto x = Expression::Parse(a);
  if (!x.ok()) return false;
  const auto y = Expression::Parse(b);
  return y.ok() && SameValue(*x, *y);
}

// "l=r" as "l-(r)".
std::string Difference(std::string_view equation) {
  const size_t at = equation.find('=');
  return absl::StrCat(ToAbsl(Strip(equation.substr(0, at))), "-(",
                      ToAbsl(Strip(equation.substr(at + 1))), ")");
}

// nullopt: not for equations to say.
std::optional<bool> EqualEquations(std::string_view answer, std::string_view reference, int depth) {
  const auto in_answer = std::count(answer.begin(), answer.end(), '=');
  const auto in_reference = std::count(reference.begin(), reference.end(), '=');
  const auto named = [](std::string_view text) {
    return Characters(Strip(text.substr(0, text.find('=')))).size() <= 2;
  };
  if (in_answer == 1 && in_reference == 1) {
    const std::string a = Difference(answer);
    const std::string r = Difference(reference);
    if (SameExpression(a, r) || SameExpression("-(" + a + ")", r)) return true;
  } else if (in_answer == 1 && in_reference == 0 && named(answer)) {
    if (Equal(answer.substr(answer.find('=') + 1), reference, depth)) return true;
  } else if (in_reference == 1 && in_answer == 0 && named(reference)) {
    if (Equal(answer, reference.substr(reference.find('=') + 1), depth)) return true;
  }
  return std::nullopt;
}

// "x<3" against "x<3" or "3>x".
bool EqualInequalities(std::string_view answer, std::string_view reference) {
  struct Relation {
    std::string_view sign, flipped;
  };
  static constexpr Relation kRelations[] = {
      {"\\le", "\\ge"}, {"\\ge", "\\le"}, {"\\ne", "\\ne"}, {"<", ">"}, {">", "<"}};
  const auto sides = [](std::string_view text, std::string_view sign) {
    auto parts = SplitOutside(text, sign);
    return parts.size() == 2 ? parts : std::vector<std::string_view>();
  };
  for (const Relation& relation : kRelations) {
    const auto a = sides(answer, relation.sign);
    if (a.empty()) continue;
    const auto same = sides(reference, relation.sign);
    if (!same.empty() && SameExpression(a[0], same[0]) && SameExpression(a[1], same[1]))
      return true;
    const auto flipped = sides(reference, relation.flipped);
    if (!flipped.empty() && SameExpression(a[0], flipped[1]) && SameExpression(a[1], flipped[0])) {
      return true;
    }
  }
  return false;
}

// "{...}" whose first brace is closed by its last.
bool IsOneGroup(std::string_view text) {
  if (!Enclosed(text, '{', '}')) return false;
  int open = 0;
  for (size_t i = 0; i + 1 < text.size(); ++i) {
    open += text[i] == '{' ? 1 : text[i] == '}' ? -1 : 0;
    if (open == 0) return false;
  }
  return true;
}

// The elements of a set or list; of "a\pm b" the two values.
std::vector<std::string> Elements(std::string_view text) {
  if (IsOneGroup(text)) text = text.substr(1, text.size() - 2);
  std::vector<std::string> elements;
  for (const std::string_view part : SplitOutside(text, ",")) {
    const size_t at = part.find("\\pm");
    if (at == std::string_view::npos) {
      elements.emplace_back(Strip(part));
      continue;
    }
    for (const char sign : {'+', '-'}) {
      std::string value(Strip(part));
      const size_t begin = value.find("\\pm");
      value.replace(begin, 3, begin == 0 && sign == '+' ? "" : std::string(1, sign));
      elements.push_back(value);
    }
  }
  return elements;
}

bool EqualSets(std::string_view answer, std::string_view reference, int depth) {
  const auto a = Elements(answer);
  const auto r = Elements(reference);
  if (a.size() == 1 && r.size() == 1 && a[0] == answer && r[0] == reference) return false;
  return EqualAsSets(a, r, depth);
}

bool Equal(std::string_view answer, std::string_view reference, int depth) {
  if (--depth < 0) return false;
  if (Lower(Strip(answer)) == Lower(Strip(reference))) return true;
  if (reference.size() == 1 && reference[0] >= 'A' && reference[0] <= 'E' &&
      ChoiceNamed(answer) == reference) {
    return true;
  }
  const auto a = NumberIn(answer);
  const auto r = NumberIn(reference);
  if (a && r) {
    if (Close(*a, *r / 100) || Close(*a, *r) || Close(*a, *r * 100)) return true;
    // "100,200" may be one number or two.
    return Contains(answer, ",") && Contains(reference, ",") && EqualSets(answer, reference, depth);
  }
  answer = Strip(answer);
  reference = Strip(reference);
  if (answer.empty() || reference.empty()) return false;
  if (EqualWithoutBrackets(answer, reference)) return true;
  const auto answer_parts = SplitOutside(answer, "\\cup");
  const auto reference_parts = SplitOutside(reference, "\\cup");
  if (answer_parts.size() > 1 || reference_parts.size() > 1) {
    return answer_parts.size() == reference_parts.size() &&
           EqualAsSets(answer_parts, reference_parts, depth);
  }
  if (EqualTuples(answer, reference, depth)) return true;
  if (IsMatrix(answer) && IsMatrix(reference)) return EqualMatrices(answer, reference, depth);
  if (const auto equal = EqualEquations(answer, reference, depth)) return *equal;
  return SameExpression(answer, reference) || EqualInequalities(answer, reference) ||
         EqualSets(answer, reference, depth);
}

}  // namespace

bool EqualMath(std::string_view answer, std::string_view reference) {
  return Equal(answer, reference, kMaxDepth);
}

std::string WithoutWords(std::string_view answer) {
  static const Regex& before = *new Regex(Regex::Of(
      R"(^[\p{Han}\p{L}\s，,]*(?:[：:]|(?:是|为|等于|共|约|共有|大约|约为|≈|\\approx))\s*(?=[-\d\\(\[{.a-zA-Z]))"));
  static const Regex& chinese = *new Regex(
      Regex::Of(R"((?<=[\d})\]a-zA-Z])\s*[\p{Han}/²³℃°]+(?:[（(][^）)]*[）)])?[。．.！!]*$)"));
  static const Regex& unit = *new Regex(Regex::Of(
      R"((?<=[\d}])\s*(?:[kcmdμ]?m|km|kg|mg|g|s|min|h|hours?|minutes?|seconds?|days?|years?|weeks?|months?|inches|inch|feet|foot|ft|yards?|miles?|mph|dollars?|cents?|degrees?|units?|students?|people|apples?|ways?|liters?|litres?|[mMkK]?L|ml|Hz|N|J|W|V|Pa|K|°C|°|usd|USD|RMB)(?:\^\{?[23]\}?)?[.]?$)"));
  std::string text(Strip(answer));
  text = before.Replace(text, "");
  text = chinese.Replace(text, "");
  text = unit.Replace(text, "");
  text = ReplaceEach(ReplaceEach(ReplaceEach(text, "。", ""), "￥", ""), "¥", "");
  const std::string_view rest = Strip(text);
  return rest.empty() ? std::string(answer) : std::string(rest);
}

}  // namespace vallm::eval
