#include "tools/eval/math/expression_tokens.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/strings.h"

namespace vallm::eval {
namespace {

constexpr std::array<std::string_view, 22> kFunctions = {
    "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "sin",  "cos",  "tan", "cot",   "sec",
    "csc",    "log",    "ln",     "lg",   "exp",  "asin", "acos", "atan", "abs", "floor", "ceil"};
constexpr std::array<std::string_view, 3> kPlainWords = {"sqrt", "infty", "pi"};

// Commands besides the functions, for those that letters follow without a space: "\\pir^2".
constexpr std::array<std::string_view, 44> kCommands = {
    "frac",  "dfrac", "tfrac",   "cfrac",  "binom",      "dbinom", "sqrt",  "pi",     "infty",
    "cdot",  "times", "div",     "lfloor", "rfloor",     "lceil",  "rceil", "lvert",  "rvert",
    "alpha", "beta",  "gamma",   "delta",  "varepsilon", "zeta",   "eta",   "theta",  "iota",
    "kappa", "mu",    "nu",      "xi",     "rho",        "sigma",  "tau",   "varphi", "chi",
    "psi",   "omega", "epsilon", "lambda", "upsilon",    "phi",    "circ",  "text"};

// Signs outside ASCII, as the ASCII or the command that means the same.
constexpr std::pair<std::string_view, std::string_view> kSigns[] = {
    {"−", "-"},  {"–", "-"},  {"×", "*"},  {"·", "*"},  {"÷", "/"},
    {"（", "("}, {"）", ")"}, {"＋", "+"}, {"＝", "="}, {"，", ","}};
constexpr std::pair<std::string_view, std::string_view> kNames[] = {
    {"π", "pi"}, {"∞", "infty"}, {"√", "sqrt"}, {"θ", "theta"}, {"α", "alpha"}, {"β", "beta"}};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }

// The length of the number at `at`: digits, thousands set off as in 1,234,567, decimals.
size_t NumberLength(std::string_view text, size_t at) {
  size_t end = at;
  while (end < text.size() && IsDigit(text[end])) ++end;
  if (end - at <= 3 && end > at) {
    while (end + 3 < text.size() && text[end] == ',' &&
           std::all_of(&text[end + 1], &text[end + 1] + 3, IsDigit) &&
           (end + 4 == text.size() || !IsDigit(text[end + 4]))) {
      end += 4;
    }
  }
  if (end < text.size() && text[end] == '.' && end + 1 < text.size() && IsDigit(text[end + 1])) {
    ++end;
    while (end < text.size() && IsDigit(text[end])) ++end;
  } else if (end < text.size() && text[end] == '.' && end > at) {
    ++end;
  }
  return end - at;
}

// The length of a known word at `at`, or 1: a letter of its own.
size_t WordLength(std::string_view text, size_t at) {
  size_t longest = 1;
  const auto consider = [&](std::string_view word) {
    if (text.substr(at, word.size()) == word) longest = std::max(longest, word.size());
  };
  for (const std::string_view word : kFunctions) consider(word);
  for (const std::string_view word : kPlainWords) consider(word);
  return longest;
}

// The length of the longest command that `name` begins with, or all of it if there is none.
size_t KnownLength(std::string_view name) {
  size_t longest = 0;
  const auto consider = [&](std::string_view command) {
    if (name.substr(0, command.size()) == command) longest = std::max(longest, command.size());
  };
  for (const std::string_view command : kCommands) consider(command);
  for (const std::string_view function : kFunctions) consider(function);
  for (const std::string_view other : {"left", "right", "displaystyle", "quad", "mathrm", "mathbf",
                                       "mathit", "operatorname", "mathbb", "begin", "end"}) {
    consider(other);
  }
  return longest == 0 ? name.size() : longest;
}

class Tokenizer {
 public:
  explicit Tokenizer(std::string_view text) : text_(text) {}

  absl::StatusOr<std::vector<MathToken>> Run() {
    while (at_ < text_.size()) {
      if (const absl::Status status = Next(); !status.ok()) return status;
    }
    Add(MathToken::kEnd, 0, "");
    return std::move(tokens_);
  }

 private:
  void Add(MathToken::Kind kind, size_t size, std::string text) {
    tokens_.push_back({.kind = kind, .text = std::move(text), .offset = at_});
    at_ += size;
  }

  absl::Status Next() {
    const char c = text_[at_];
    if (IsDigit(c) || (c == '.' && at_ + 1 < text_.size() && IsDigit(text_[at_ + 1]))) {
      const size_t size = NumberLength(text_, at_);
      std::string digits(text_.substr(at_, size));
      digits.erase(std::remove(digits.begin(), digits.end(), ','), digits.end());
      Add(MathToken::kNumber, size, std::move(digits));
    } else if (IsLetter(c)) {
      const size_t size = WordLength(text_, at_);
      Add(size > 1 ? MathToken::kCommand : MathToken::kName, size,
          std::string(text_.substr(at_, size)));
    } else if (c == '\\') {
      Command();
    } else if (c == ' ' || c == '~' || c == '\t') {
      ++at_;
    } else if (static_cast<unsigned char>(c) < 0x80) {
      Add(MathToken::kSign, 1, std::string(1, c));
    } else {
      return OtherCharacter();
    }
    return absl::OkStatus();
  }

  void Command() {
    size_t end = at_ + 1;
    while (end < text_.size() && IsLetter(text_[end])) ++end;
    std::string_view name = text_.substr(at_ + 1, end - at_ - 1);
    name = name.substr(0, KnownLength(name));
    end = at_ + 1 + name.size();
    if (name.empty()) {  // \, \; \! are spaces; \{ \} \% \| are signs
      const char sign = end < text_.size() ? text_[end] : ' ';
      if (sign == '{' || sign == '}' || sign == '%' || sign == '|') {
        Add(MathToken::kSign, 2, std::string(1, sign));
      } else {
        at_ += 2;
      }
    } else if (name == "left" || name == "right" || name == "displaystyle" || name == "quad") {
      at_ = end;
    } else {
      Add(MathToken::kCommand, end - at_, std::string(name));
    }
  }

  absl::Status OtherCharacter() {
    for (const auto& [sign, ascii] : kSigns) {
      if (text_.substr(at_, sign.size()) == sign) {
        Add(MathToken::kSign, sign.size(), std::string(ascii));
        return absl::OkStatus();
      }
    }
    for (const auto& [sign, name] : kNames) {
      if (text_.substr(at_, sign.size()) == sign) {
        Add(MathToken::kCommand, sign.size(), std::string(name));
        return absl::OkStatus();
      }
    }
    return absl::InvalidArgumentError(absl::StrCat("no maths at offset ", at_));
  }

  const std::string_view text_;
  size_t at_ = 0;
  std::vector<MathToken> tokens_;
};

}  // namespace

absl::StatusOr<std::vector<MathToken>> MathTokens(std::string_view text) {
  return Tokenizer(text).Run();
}

bool IsMathFunction(std::string_view name) {
  return std::find(kFunctions.begin(), kFunctions.end(), name) != kFunctions.end();
}

}  // namespace vallm::eval
