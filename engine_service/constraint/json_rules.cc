#include "engine_service/constraint/json_rules.h"

#include <algorithm>
#include <array>
#include <string>
#include <unordered_map>
#include <utility>

#include "engine_service/constraint/token_trie.h"
#include "tokenizer_service/bpe/utf8.h"

namespace vallm::engine {
namespace {

// Characters with an escape of their own besides \u, and its letter.
constexpr std::array<std::pair<char, char>, 7> kShortEscapes = {
    {{'"', '"'}, {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'}, {'\n', 'n'}, {'\r', 'r'}, {'\t', 't'}}};

CharSet PlainCharacters() {
  CharSet set = CharSet::Of(0x20, 0x10FFFF);
  CharSet escaped = CharSet::One('"');
  escaped.Add('\\', '\\');
  return set.Without(escaped);
}

CharSet HexDigits() {
  CharSet set = CharSet::Of('0', '9');
  set.Add('a', 'f');
  set.Add('A', 'F');
  return set;
}

CharSet OneOf(std::string_view letters) {
  CharSet set;
  for (const char c : letters) set.Add(static_cast<uint8_t>(c), static_cast<uint8_t>(c));
  return set;
}

ExprPtr Hex(int count) { return RepeatExpr(CharsExpr(HexDigits()), count, count); }

// \u and four digits: a character that is no surrogate, or a pair of surrogates.
ExprPtr UnicodeEscape() {
  const ExprPtr u = BytesExpr("\\u");
  const ExprPtr d = CharsExpr(OneOf("dD"));
  CharSet not_d = HexDigits().Without(OneOf("dD"));
  const ExprPtr plane = ChoiceExpr({SequenceExpr({CharsExpr(std::move(not_d)), Hex(3)}),
                                    SequenceExpr({d, CharsExpr(CharSet::Of('0', '7')), Hex(2)})});
  const ExprPtr pair = SequenceExpr(
      {d, CharsExpr(OneOf("89abAB")), Hex(2), u, d, CharsExpr(OneOf("cdefCDEF")), Hex(2)});
  return SequenceExpr({u, ChoiceExpr({plane, pair})});
}

// `set` in its one spelling inside of a JSON string.
ExprPtr EscapeChars(const CharSet& set) {
  std::vector<ExprPtr> ways;
  const CharSet plain = set.Intersection(PlainCharacters());
  if (!plain.empty()) ways.push_back(CharsExpr(plain));
  CharSet rest = set.Without(PlainCharacters());
  for (const auto& [character, letter] : kShortEscapes) {
    const auto c = static_cast<char32_t>(character);
    if (!rest.Contains(c)) continue;
    rest = rest.Without(CharSet::One(c));
    ways.push_back(BytesExpr(std::string("\\") + letter));
  }
  for (const CharSet::Range& range : rest.ranges()) {
    for (char32_t c = range.first; c <= range.last; ++c) {
      const ExprPtr last = CharsExpr(CharSet::One("0123456789abcdef"[c % 16]).FoldAsciiCase());
      ways.push_back(SequenceExpr({BytesExpr(c < 16 ? "\\u000" : "\\u001"), last}));
    }
  }
  return ChoiceExpr(std::move(ways));
}

// Shared parts stay shared.
class Escaper {
 public:
  ExprPtr Run(const ExprPtr& expr) {
    const auto at = done_.find(expr.get());
    if (at != done_.end()) return at->second;
    ExprPtr result = Convert(expr);
    done_.emplace(expr.get(), result);
    return result;
  }

 private:
  ExprPtr Convert(const ExprPtr& expr) {
    switch (expr->kind) {
      case Expr::Kind::kChars:
        return EscapeChars(expr->chars);
      case Expr::Kind::kBytes: {
        std::vector<ExprPtr> parts;
        for (std::string_view text = expr->text; !text.empty();) {
          const tokenizer::Utf8Step step = tokenizer::DecodeUtf8(text);
          parts.push_back(EscapeChars(CharSet::One(step.codepoint)));
          text.remove_prefix(step.length);
        }
        return SequenceExpr(std::move(parts));
      }
      case Expr::Kind::kSequence:
      case Expr::Kind::kChoice:
      case Expr::Kind::kRepeat: {
        Expr copy = *expr;
        for (ExprPtr& part : copy.parts) part = Run(part);
        return std::make_shared<const Expr>(std::move(copy));
      }
      default:
        return expr;  // rules and tokens do not occur in patterns
    }
  }

  std::unordered_map<const Expr*, ExprPtr> done_;
};

}  // namespace

ExprPtr EscapeForJson(const ExprPtr& expr) { return Escaper().Run(expr); }

ExprPtr QuotedJson(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto* const at = std::find_if(kShortEscapes.begin(), kShortEscapes.end(),
                                        [c](const auto& escape) { return escape.first == c; });
    if (at != kShortEscapes.end()) {
      quoted += {'\\', at->second};
    } else if (static_cast<uint8_t>(c) < 0x20) {
      const auto value = static_cast<uint8_t>(c);
      quoted += value < 16 ? "\\u000" : "\\u001";
      quoted += "0123456789abcdef"[value % 16];
    } else {
      quoted += c;
    }
  }
  return BytesExpr(quoted + '"');
}

ExprPtr JsonRules::Space() {
  if (space_ < 0) {
    const ExprPtr indent = RepeatExpr(CharsExpr(OneOf(" \t")), 0, kMaxIndent);
    space_ = grammar_->AddRule(
        "(white space)",
        ChoiceExpr({BytesExpr(""), BytesExpr(" "), SequenceExpr({BytesExpr("\n"), indent})}));
  }
  return RuleExpr(space_);
}

ExprPtr JsonRules::Comma() { return SequenceExpr({Space(), BytesExpr(","), Space()}); }

ExprPtr JsonRules::StringCharacter() {
  if (character_ < 0) {
    const ExprPtr escaped = SequenceExpr({BytesExpr("\\"), CharsExpr(OneOf("\"\\/bfnrt"))});
    character_ = grammar_->AddRule(
        "(string character)", ChoiceExpr({CharsExpr(PlainCharacters()), escaped, UnicodeEscape()}));
  }
  return RuleExpr(character_);
}

ExprPtr JsonRules::String(int min, int max) {
  const ExprPtr quote = BytesExpr("\"");
  return SequenceExpr({quote, RepeatExpr(StringCharacter(), min, max), quote});
}

ExprPtr JsonRules::Integer() {
  const ExprPtr digits = RepeatExpr(CharsExpr(CharSet::Of('0', '9')), 0, kUnbounded);
  return SequenceExpr(
      {OptionalExpr(BytesExpr("-")),
       ChoiceExpr({BytesExpr("0"), SequenceExpr({CharsExpr(CharSet::Of('1', '9')), digits})})});
}

ExprPtr JsonRules::Number() {
  const ExprPtr digits = RepeatExpr(CharsExpr(CharSet::Of('0', '9')), 1, kUnbounded);
  const ExprPtr exponent =
      SequenceExpr({CharsExpr(OneOf("eE")), OptionalExpr(CharsExpr(OneOf("+-"))), digits});
  return SequenceExpr(
      {Integer(), OptionalExpr(SequenceExpr({BytesExpr("."), digits})), OptionalExpr(exponent)});
}

ExprPtr JsonRules::Member(ExprPtr quoted_key, ExprPtr value) {
  return SequenceExpr({std::move(quoted_key), Space(), BytesExpr(":"), Space(), std::move(value)});
}

ExprPtr JsonRules::ObjectOf(const ExprPtr& member, bool may_be_empty) {
  const ExprPtr more = RepeatExpr(SequenceExpr({Comma(), member}), 0, kUnbounded);
  ExprPtr members = SequenceExpr({member, more, Space()});
  if (may_be_empty) members = OptionalExpr(std::move(members));
  return SequenceExpr({BytesExpr("{"), Space(), std::move(members), BytesExpr("}")});
}

ExprPtr JsonRules::Object() {
  return ObjectOf(Member(String(0, kUnbounded), Value()), /*may_be_empty=*/true);
}

ExprPtr JsonRules::Array() {
  const ExprPtr more = RepeatExpr(SequenceExpr({Comma(), Value()}), 0, kUnbounded);
  const ExprPtr items = SequenceExpr({Value(), more, Space()});
  return SequenceExpr({BytesExpr("["), Space(), OptionalExpr(items), BytesExpr("]")});
}

ExprPtr JsonRules::Value() {
  if (value_ < 0) {
    value_ = grammar_->AddRule("(any JSON value)");
    grammar_->rules[value_].body =
        ChoiceExpr({Object(), Array(), String(0, kUnbounded), Number(), BytesExpr("true"),
                    BytesExpr("false"), BytesExpr("null")});
  }
  return RuleExpr(value_);
}

ExprPtr JsonRules::KeyExcept(const std::vector<std::string_view>& names) {
  std::vector<std::string_view> sorted = names;
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  return SequenceExpr({BytesExpr("\""), ExceptTexts(sorted, 0), BytesExpr("\"")});
}

// Any string contents but `sorted`, which agree before `offset`. Follows the trie of the texts:
// at each node stop unless a text ends here, go on along a branch, or leave the trie by another
// character, behind which everything goes. Along the trie characters are spelled raw, so that no
// escape smuggles an excluded text in.
ExprPtr JsonRules::ExceptTexts(const std::vector<std::string_view>& sorted, size_t offset) {
  const ExprPtr anything = RepeatExpr(StringCharacter(), 0, kUnbounded);
  if (sorted.empty()) return anything;
  std::vector<ExprPtr> ways;
  CharSet others = CharSet::All();
  size_t i = 0;
  if (sorted[0].size() == offset) {
    ++i;
  } else {
    ways.push_back(BytesExpr(""));
  }
  while (i < sorted.size()) {
    const tokenizer::Utf8Step step = tokenizer::DecodeUtf8(sorted[i].substr(offset));
    const std::string_view character = sorted[i].substr(offset, step.length);
    const size_t begin = i;
    while (i < sorted.size() && sorted[i].substr(offset, step.length) == character) ++i;
    const std::vector<std::string_view> branch(sorted.begin() + begin, sorted.begin() + i);
    others = others.Without(CharSet::One(step.codepoint));
    ways.push_back(SequenceExpr(
        {EscapeChars(CharSet::One(step.codepoint)), ExceptTexts(branch, offset + step.length)}));
  }
  ways.push_back(SequenceExpr({EscapeChars(others), anything}));
  return ChoiceExpr(std::move(ways));
}

}  // namespace vallm::engine
