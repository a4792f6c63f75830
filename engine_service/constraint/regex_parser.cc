#include "engine_service/constraint/regex_parser.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/bpe/utf8.h"

namespace vallm::engine {
namespace {

CharSet Digits() { return CharSet::Of('0', '9'); }

CharSet WordCharacters() {
  CharSet set = CharSet::Of('a', 'z');
  set.Add('A', 'Z');
  set.Add('0', '9');
  set.Add('_', '_');
  return set;
}

CharSet Spaces() {
  CharSet set = CharSet::Of('\t', '\r');
  set.Add(' ', ' ');
  return set;
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

class Parser {
 public:
  explicit Parser(std::string_view text, size_t offset = 0) : text_(text), at_(offset) {}

  size_t offset() const { return at_; }

  absl::StatusOr<ExprPtr> ParsePattern(RegexMatch match) {
    VALLM_RETURN_IF_ERROR(ReadLeadingFlags());
    std::vector<ExprPtr> branches;
    do {
      bool begins = false;
      bool ends = false;
      for (; Take('^'); begins = true) {
      }
      VALLM_ASSIGN_OR_RETURN(ExprPtr body, ParseSequence(/*at_top=*/true));
      for (; Take('$'); ends = true) {
      }
      if (!AtEnd() && Peek() == ')') return Bad("unmatched ')'");
      if (!AtEnd() && Peek() != '|') return Unsupported("'$' before the end of an alternative");
      if (match == RegexMatch::kSearch) body = Search(std::move(body), begins, ends);
      branches.push_back(std::move(body));
    } while (Take('|'));
    return ChoiceExpr(std::move(branches));
  }

  // REQUIRES: behind the '['.
  absl::StatusOr<CharSet> ParseClass() {
    const bool negated = Take('^');
    CharSet set;
    bool first = true;
    while (true) {
      if (AtEnd()) return Bad("unclosed '['");
      if (!first && Take(']')) break;
      first = false;
      if (Rest(2) == "[:" || Rest(2) == "&&" || Rest(2) == "--") {
        return Unsupported(absl::StrCat("'", ToAbsl(Rest(2)), "' in a class"));
      }
      VALLM_ASSIGN_OR_RETURN(const CharSet item, ParseClassItem());
      // A range needs single characters on both sides and no bracket behind the dash.
      if (Rest(1) == "-" && Rest(2) != "-]" && Rest(2).size() == 2) {
        Take('-');
        VALLM_ASSIGN_OR_RETURN(const CharSet last, ParseClassItem());
        const std::optional<char32_t> from = OnlyOf(item);
        const std::optional<char32_t> to = OnlyOf(last);
        if (!from || !to) return Bad("a range with a class at one end");
        if (*from > *to) return Bad("a range whose end is before its beginning");
        set.Add(*from, *to);
      } else {
        set.Add(item);
      }
    }
    if (ignore_case_) set = set.FoldAsciiCase();
    return negated ? set.Complement() : set;
  }

 private:
  bool AtEnd() const { return at_ >= text_.size(); }
  char Peek() const { return text_[at_]; }
  std::string_view Rest(size_t count) const { return text_.substr(at_, count); }
  bool Take(char c) {
    if (AtEnd() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool TakeText(std::string_view wanted) {
    if (Rest(wanted.size()) != wanted) return false;
    at_ += wanted.size();
    return true;
  }

  absl::Status Bad(std::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat("regex: ", ToAbsl(what), " at offset ", at_));
  }
  absl::Status Unsupported(std::string_view what) const {
    return absl::UnimplementedError(
        absl::StrCat("regex: ", ToAbsl(what), " at offset ", at_, " is not supported"));
  }

  static std::optional<char32_t> OnlyOf(const CharSet& set) {
    if (set.ranges().size() != 1 || set.ranges()[0].first != set.ranges()[0].last) return {};
    return set.ranges()[0].first;
  }

  static ExprPtr Search(ExprPtr body, bool begins, bool ends) {
    const ExprPtr anything = RepeatExpr(CharsExpr(CharSet::All()), 0, kUnbounded);
    std::vector<ExprPtr> parts;
    if (!begins) parts.push_back(anything);
    parts.push_back(std::move(body));
    if (!ends) parts.push_back(anything);
    return SequenceExpr(std::move(parts));
  }

  absl::Status SetFlag(char flag) {
    if (flag == 'i') {
      ignore_case_ = true;
    } else if (flag == 's') {
      dot_all_ = true;
    } else if (flag != 'a') {
      return Unsupported(absl::StrCat("flag '", std::string(1, flag), "'"));
    }
    return absl::OkStatus();
  }

  absl::Status ReadLeadingFlags() {
    const size_t close = text_.find(')');
    if (Rest(2) != "(?" || close == std::string_view::npos || text_.size() < 4) return {};
    const std::string_view flags = text_.substr(2, close - 2);
    if (flags.empty() || !std::all_of(flags.begin(), flags.end(), ::isalpha)) return {};
    for (const char flag : flags) VALLM_RETURN_IF_ERROR(SetFlag(flag));
    at_ = close + 1;
    return absl::OkStatus();
  }

  absl::StatusOr<ExprPtr> ParseSequence(bool at_top) {
    std::vector<ExprPtr> parts;
    while (!AtEnd() && Peek() != '|' && Peek() != ')') {
      if (Peek() == '$' && at_top) break;
      if (Peek() == '$' || Peek() == '^') {
        return Unsupported(absl::StrCat("anchor '", std::string(1, Peek()), "' inside a pattern"));
      }
      VALLM_ASSIGN_OR_RETURN(ExprPtr atom, ParseAtom());
      VALLM_ASSIGN_OR_RETURN(ExprPtr quantified, ParseQuantifier(std::move(atom)));
      parts.push_back(std::move(quantified));
    }
    return SequenceExpr(std::move(parts));
  }

  absl::StatusOr<ExprPtr> ParseAtom() {
    const char c = Peek();
    if (Take('(')) return ParseGroup();
    if (Take('[')) {
      VALLM_ASSIGN_OR_RETURN(CharSet set, ParseClass());
      return CharsExpr(std::move(set));
    }
    if (Take('.')) {
      return CharsExpr(dot_all_ ? CharSet::All() : CharSet::One('\n').Complement());
    }
    if (c == '*' || c == '+' || c == '?') return Bad("nothing to repeat");
    VALLM_ASSIGN_OR_RETURN(CharSet set,
                           c == '\\' ? ParseEscape(/*in_class=*/false) : ParseLiteral());
    return CharsExpr(ignore_case_ ? set.FoldAsciiCase() : std::move(set));
  }

  absl::StatusOr<CharSet> ParseLiteral() {
    const tokenizer::Utf8Step step = tokenizer::DecodeUtf8(text_.substr(at_));
    if (step.kind != tokenizer::Utf8Kind::kCharacter) return Bad("invalid UTF-8");
    at_ += step.length;
    return CharSet::One(step.codepoint);
  }

  absl::StatusOr<CharSet> ParseClassItem() {
    if (AtEnd()) return Bad("unclosed '['");
    return Peek() == '\\' ? ParseEscape(/*in_class=*/true) : ParseLiteral();
  }

  absl::StatusOr<ExprPtr> ParseGroup() {
    if (++depth_ > kMaxRegexDepth) {
      return Bad(absl::StrCat("groups nested deeper than ", kMaxRegexDepth));
    }
    const bool ignore_case = ignore_case_;
    const bool dot_all = dot_all_;
    if (Rest(1) == "?") VALLM_RETURN_IF_ERROR(ReadGroupKind());
    std::vector<ExprPtr> branches;
    do {
      VALLM_ASSIGN_OR_RETURN(ExprPtr branch, ParseSequence(/*at_top=*/false));
      branches.push_back(std::move(branch));
    } while (Take('|'));
    if (!Take(')')) return Bad("unclosed '('");
    ignore_case_ = ignore_case;
    dot_all_ = dot_all;
    --depth_;
    return ChoiceExpr(std::move(branches));
  }

  absl::Status ReadGroupKind() {
    for (const std::string_view look : {"?=", "?!", "?<=", "?<!"}) {
      if (Rest(look.size()) == look) {
        return Unsupported(absl::StrCat("look-around '(", ToAbsl(look), "'"));
      }
    }
    if (TakeText("?:")) return absl::OkStatus();
    if (TakeText("?P<") || TakeText("?<")) {
      const size_t close = text_.find('>', at_);
      if (close == std::string_view::npos || close == at_) return Bad("bad group name");
      at_ = close + 1;
      return absl::OkStatus();
    }
    if (Rest(3) == "?P=") return Unsupported("back reference '(?P='");
    Take('?');
    while (!AtEnd() && std::isalpha(static_cast<unsigned char>(Peek()))) {
      VALLM_RETURN_IF_ERROR(SetFlag(Peek()));
      ++at_;
    }
    if (Take(':')) return absl::OkStatus();
    return Unsupported("group of this kind");
  }

  absl::StatusOr<ExprPtr> ParseQuantifier(ExprPtr atom) {
    int min = 1;
    int max = 1;
    if (Take('*')) {
      min = 0, max = kUnbounded;
    } else if (Take('+')) {
      max = kUnbounded;
    } else if (Take('?')) {
      min = 0;
    } else {
      VALLM_ASSIGN_OR_RETURN(const bool counted, ParseCounts(&min, &max));
      if (!counted) return atom;
    }
    if (Rest(1) == "+") return Unsupported("possessive quantifier");
    if (!Take('?') && (Rest(1) == "*")) return Bad("multiple repeat");
    return RepeatExpr(std::move(atom), min, max);
  }

  // {m}, {m,} and {m,n}. Anything else that begins with a brace is literal text.
  absl::StatusOr<bool> ParseCounts(int* min, int* max) {
    const size_t begin = at_;
    const auto not_counts = [&] {
      at_ = begin;
      return false;
    };
    if (!Take('{')) return false;
    VALLM_ASSIGN_OR_RETURN(const std::optional<int> low, ParseCount());
    std::optional<int> high = low;
    const bool comma = Take(',');
    if (comma) {
      VALLM_ASSIGN_OR_RETURN(high, ParseCount());
    }
    if (!Take('}') || (!low && !high)) return not_counts();
    *min = low.value_or(0);
    *max = high.value_or(kUnbounded);
    if (high && *high < *min) return Bad("a repetition whose maximum is below its minimum");
    return true;
  }

  absl::StatusOr<std::optional<int>> ParseCount() {
    std::optional<int> value;
    while (!AtEnd() && std::isdigit(static_cast<unsigned char>(Peek()))) {
      value = value.value_or(0) * 10 + (Peek() - '0');
      if (*value > kMaxRegexRepeat) {
        return Bad(absl::StrCat("a repetition count above ", kMaxRegexRepeat));
      }
      ++at_;
    }
    return value;
  }

  // REQUIRES: at a backslash.
  absl::StatusOr<CharSet> ParseEscape(bool in_class) {
    const size_t begin = at_++;
    if (AtEnd()) return Bad("a backslash at the end");
    const char c = text_[at_++];
    switch (c) {
      case 'd':
        return Digits();
      case 'D':
        return Digits().Complement();
      case 'w':
        return WordCharacters();
      case 'W':
        return WordCharacters().Complement();
      case 's':
        return Spaces();
      case 'S':
        return Spaces().Complement();
      case 'n':
        return CharSet::One('\n');
      case 'r':
        return CharSet::One('\r');
      case 't':
        return CharSet::One('\t');
      case 'f':
        return CharSet::One('\f');
      case 'v':
        return CharSet::One('\v');
      case '0':
        return CharSet::One(0);
      case 'x':
        return ParseHex(2);
      case 'u':
        return ParseHex(4);
      case 'U':
        return ParseHex(8);
      case 'b':
        if (in_class) return CharSet::One('\b');
        break;
      default:
        break;
    }
    if (std::isdigit(static_cast<unsigned char>(c)) ||
        std::isalpha(static_cast<unsigned char>(c))) {
      at_ = begin;
      const bool digit = std::isdigit(static_cast<unsigned char>(c)) != 0;
      const std::string_view kind = digit || c == 'k'      ? "back reference"
                                    : c == 'b' || c == 'B' ? "word boundary"
                                    : c == 'p' || c == 'P' ? "character property"
                                                           : "escape";
      return Unsupported(absl::StrCat(ToAbsl(kind), " '\\", std::string(1, c), "'"));
    }
    --at_;
    return ParseLiteral();
  }

  // \xHH, \uHHHH, \UHHHHHHHH and the same with braces; a surrogate pair of \u is one character.
  absl::StatusOr<CharSet> ParseHex(int digits) {
    VALLM_ASSIGN_OR_RETURN(uint32_t value, ParseHexDigits(digits));
    if (digits == 4 && value >= 0xD800 && value < 0xDC00 && TakeText("\\u")) {
      VALLM_ASSIGN_OR_RETURN(const uint32_t low, ParseHexDigits(digits));
      if (low < 0xDC00 || low > 0xDFFF) return Bad("a lone surrogate");
      value = 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
      return Bad("an escape that is not a character");
    }
    return CharSet::One(value);
  }

  absl::StatusOr<uint32_t> ParseHexDigits(int digits) {
    const bool braced = Take('{');
    uint32_t value = 0;
    int count = 0;
    while (!AtEnd() && HexValue(Peek()) >= 0 && count < (braced ? 8 : digits)) {
      value = value * 16 + static_cast<uint32_t>(HexValue(Peek()));
      ++count;
      ++at_;
    }
    if (count == 0 || (!braced && count != digits) || (braced && !Take('}'))) {
      return Bad("a bad hexadecimal escape");
    }
    return value;
  }

  std::string_view text_;
  size_t at_;
  int depth_ = 0;
  bool ignore_case_ = false;
  bool dot_all_ = false;
};

}  // namespace

absl::StatusOr<ExprPtr> ParseRegex(std::string_view pattern, RegexMatch match) {
  if (pattern.size() > kMaxRegexBytes) {
    return absl::InvalidArgumentError(absl::StrCat("regex: the pattern has ", pattern.size(),
                                                   " bytes; the limit is ", kMaxRegexBytes));
  }
  return Parser(pattern).ParsePattern(match);
}

absl::StatusOr<CharSet> ParseBracketClass(std::string_view text, size_t* offset) {
  Parser parser(text, *offset);
  VALLM_ASSIGN_OR_RETURN(CharSet set, parser.ParseClass());
  *offset = parser.offset();
  return set;
}

}  // namespace vallm::engine
