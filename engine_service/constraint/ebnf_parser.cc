#include "engine_service/constraint/ebnf_parser.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "engine_service/constraint/regex_parser.h"
#include "tokenizer_service/bpe/utf8.h"

namespace vallm::engine {
namespace {

bool IsNameStart(char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_'; }
bool IsNameByte(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-';
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  absl::StatusOr<Grammar> Parse() {
    if (tokenizer::FirstInvalidUtf8(text_)) return Bad("invalid UTF-8");
    for (SkipSpace(); !AtEnd(); SkipSpace()) VALLM_RETURN_IF_ERROR(ParseRule());
    for (const auto& [name, rule] : rules_) {
      if (grammar_.rules[rule].body == nullptr) {
        return absl::InvalidArgumentError(
            absl::StrCat("grammar: rule '", name, "' is used but not defined"));
      }
    }
    for (const char* start : {"root", "start"}) {
      const auto at = rules_.find(start);
      if (at == rules_.end()) continue;
      grammar_.root = at->second;
      return std::move(grammar_);
    }
    return absl::InvalidArgumentError("grammar: there is no rule 'root' (or 'start')");
  }

 private:
  bool AtEnd() const { return at_ >= text_.size(); }
  std::string_view Rest(size_t count) const { return text_.substr(at_, count); }
  bool Take(std::string_view wanted) {
    if (Rest(wanted.size()) != wanted) return false;
    at_ += wanted.size();
    return true;
  }

  absl::Status Bad(std::string_view what) const {
    const auto line =
        1 + std::count(text_.begin(), text_.begin() + std::min(at_, text_.size()), '\n');
    return absl::InvalidArgumentError(absl::StrCat("grammar: line ", line, ": ", ToAbsl(what)));
  }

  void SkipSpace() {
    while (!AtEnd()) {
      if (std::isspace(static_cast<unsigned char>(text_[at_]))) {
        ++at_;
      } else if (text_[at_] == '#' || Rest(2) == "//") {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else {
        break;
      }
    }
  }

  std::string_view TakeName() {
    const size_t begin = at_;
    if (!AtEnd() && IsNameStart(text_[at_])) {
      while (!AtEnd() && IsNameByte(text_[at_])) ++at_;
    }
    return text_.substr(begin, at_ - begin);
  }

  // Whether a rule's name and its "::=" or ":" stand here.
  bool AtRule() {
    const size_t begin = at_;
    const bool named = !TakeName().empty();
    SkipSpace();
    const bool is_rule = named && Rest(1) == ":";
    at_ = begin;
    return is_rule;
  }

  int RuleNamed(std::string_view name) {
    const auto [at, is_new] = rules_.try_emplace(std::string(name), 0);
    if (is_new) at->second = grammar_.AddRule(std::string(name));
    return at->second;
  }

  absl::Status ParseRule() {
    if (Rest(1) == "%") {
      const size_t end = std::min(text_.find_first_of(" \t\n", at_), text_.size());
      return absl::UnimplementedError(absl::StrCat(
          "grammar: directive '", ToAbsl(text_.substr(at_, end - at_)), "' is not supported"));
    }
    if (!AtRule()) return Bad("expected a rule: name ::= ...");
    const std::string_view name = TakeName();
    SkipSpace();
    if (!Take("::=")) Take(":");
    const int rule = RuleNamed(name);
    if (grammar_.rules[rule].body != nullptr) {
      return Bad(absl::StrCat("rule '", ToAbsl(name), "' is defined twice"));
    }
    VALLM_ASSIGN_OR_RETURN(ExprPtr body, ParseAlternatives());
    grammar_.rules[rule].body = std::move(body);
    return absl::OkStatus();
  }

  absl::StatusOr<ExprPtr> ParseAlternatives() {
    if (++depth_ > kMaxEbnfDepth) {
      return Bad(absl::StrCat("groups nested deeper than ", kMaxEbnfDepth));
    }
    std::vector<ExprPtr> ways;
    do {
      std::vector<ExprPtr> parts;
      for (SkipSpace(); !AtEnd() && Rest(1) != "|" && Rest(1) != ")" && Rest(1) != "%" && !AtRule();
           SkipSpace()) {
        VALLM_ASSIGN_OR_RETURN(ExprPtr item, ParseItem());
        VALLM_ASSIGN_OR_RETURN(ExprPtr repeated, ParseRepeat(std::move(item)));
        parts.push_back(std::move(repeated));
      }
      ways.push_back(SequenceExpr(std::move(parts)));
    } while (Take("|"));
    --depth_;
    return ChoiceExpr(std::move(ways));
  }

  absl::StatusOr<ExprPtr> ParseItem() {
    if (Take("(")) {
      VALLM_ASSIGN_OR_RETURN(ExprPtr group, ParseAlternatives());
      if (!Take(")")) return Bad("unclosed '('");
      return group;
    }
    if (Rest(1) == "\"" || Rest(1) == "'") return ParseText();
    if (Take("[")) {
      absl::StatusOr<CharSet> set = ParseBracketClass(text_, &at_);
      if (!set.ok()) return Bad(ToStd(set.status().message()));
      return CharsExpr(*std::move(set));
    }
    if (Take(".")) return CharsExpr(CharSet::All());
    if (Take("/")) return ParseSlashes();
    if (const std::string_view name = TakeName(); !name.empty()) return RuleExpr(RuleNamed(name));
    return Bad(absl::StrCat("unexpected '", ToAbsl(Rest(1)), "'"));
  }

  absl::StatusOr<ExprPtr> ParseSlashes() {
    const size_t begin = at_;
    while (!AtEnd() && text_[at_] != '/') at_ += text_[at_] == '\\' ? 2 : 1;
    if (AtEnd()) return Bad("unclosed '/'");
    std::string pattern;
    for (size_t i = begin; i < at_; ++i) {
      // "\/" is how a slash is spelled between slashes.
      if (text_[i] == '\\' && text_[i + 1] == '/') continue;
      pattern += text_[i];
      if (text_[i] == '\\') pattern += text_[++i];
    }
    Take("/");
    absl::StatusOr<ExprPtr> parsed = ParseRegex(pattern, RegexMatch::kFull);
    if (!parsed.ok()) return Bad(ToStd(parsed.status().message()));
    return parsed;
  }

  absl::StatusOr<ExprPtr> ParseText() {
    const char quote = text_[at_++];
    std::string result;
    while (true) {
      if (AtEnd() || text_[at_] == '\n') return Bad("unclosed text");
      const char c = text_[at_++];
      if (c == quote) return BytesExpr(result);
      if (c != '\\') {
        result += c;
        continue;
      }
      VALLM_RETURN_IF_ERROR(ParseEscape(&result));
    }
  }

  absl::Status ParseEscape(std::string* result) {
    if (AtEnd()) return Bad("unclosed text");
    const char c = text_[at_++];
    constexpr std::string_view kNames = "nrt\\\"'/[]";
    constexpr std::string_view kValues = "\n\r\t\\\"'/[]";
    if (const size_t known = kNames.find(c); known != std::string_view::npos) {
      *result += kValues[known];
      return absl::OkStatus();
    }
    const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    const std::string hex(Rest(digits));
    const bool valid =
        digits > 0 && hex.size() == digits &&
        std::all_of(hex.begin(), hex.end(), [](unsigned char h) { return std::isxdigit(h); });
    const uint64_t value = valid ? std::stoul(hex, nullptr, 16) : 0x110000;
    if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
      return Bad(absl::StrCat("bad escape '\\", std::string(1, c), "'"));
    }
    at_ += digits;
    tokenizer::AppendUtf8(static_cast<char32_t>(value), result);
    return absl::OkStatus();
  }

  absl::StatusOr<ExprPtr> ParseRepeat(ExprPtr item) {
    // A quantifier stands directly behind what it repeats, as "?" and "*" begin nothing else.
    while (true) {
      if (Take("*")) {
        item = RepeatExpr(std::move(item), 0, kUnbounded);
      } else if (Take("+")) {
        item = RepeatExpr(std::move(item), 1, kUnbounded);
      } else if (Take("?")) {
        item = OptionalExpr(std::move(item));
      } else if (Take("{")) {
        VALLM_ASSIGN_OR_RETURN(item, ParseCounts(std::move(item)));
      } else {
        return item;
      }
    }
  }

  absl::StatusOr<ExprPtr> ParseCounts(ExprPtr item) {
    const std::optional<int> min = TakeNumber();
    std::optional<int> max = min;
    if (Take(",")) max = TakeNumber();
    if (!Take("}") || (!min && !max)) return Bad("bad repetition; expected {m}, {m,} or {m,n}");
    const int low = min.value_or(0);
    const int high = max.value_or(kUnbounded);
    if (low > kMaxRegexRepeat || high > kMaxRegexRepeat || (high != kUnbounded && high < low)) {
      return Bad(
          absl::StrCat("bad repetition {", low, ",", high, "}; counts go up to ", kMaxRegexRepeat));
    }
    return RepeatExpr(std::move(item), low, high);
  }

  std::optional<int> TakeNumber() {
    std::optional<int> value;
    while (!AtEnd() && std::isdigit(static_cast<unsigned char>(text_[at_]))) {
      value = std::min(value.value_or(0) * 10 + (text_[at_] - '0'), kMaxRegexRepeat + 1);
      ++at_;
    }
    return value;
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
  Grammar grammar_;
  std::map<std::string, int> rules_;
};

}  // namespace

absl::StatusOr<Grammar> ParseEbnf(std::string_view text) {
  if (text.size() > kMaxEbnfBytes) {
    return absl::InvalidArgumentError(absl::StrCat("grammar: the text has ", text.size(),
                                                   " bytes; the limit is ", kMaxEbnfBytes));
  }
  return Parser(text).Parse();
}

}  // namespace vallm::engine
