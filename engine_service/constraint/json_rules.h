// JSON itself as grammar rules: white space, strings, numbers, any value. Rules are added to the
// grammar when first asked for.
//
// White space between JSON tokens is optional and bounded, as a model could otherwise emit it for
// ever: nothing, one space, or one line feed with at most kMaxIndent spaces or tabs. None before or
// behind the whole value. Strings hold any valid UTF-8 and every escape; escaped surrogates come in
// pairs only. Escape() spells characters as serialisers do: raw unless they must be escaped.
#ifndef VALLM_ENGINE_SERVICE_CONSTRAINT_JSON_RULES_H_
#define VALLM_ENGINE_SERVICE_CONSTRAINT_JSON_RULES_H_

#include <string_view>
#include <vector>

#include "engine_service/constraint/expr.h"

namespace vallm::engine {

class JsonRules {
 public:
  static constexpr int kMaxIndent = 64;

  // `grammar` must outlive this.
  explicit JsonRules(Grammar* grammar) : grammar_(grammar) {}

  ExprPtr Space();
  // `part`, then a comma between white space on both sides is what separates list items.
  ExprPtr Comma();
  // One character of a string, raw or escaped.
  ExprPtr StringCharacter();
  // Quoted, of `min` to `max` characters.
  ExprPtr String(int min, int max);
  ExprPtr Integer();
  ExprPtr Number();
  ExprPtr Object();
  ExprPtr Array();
  ExprPtr Value();

  // {"key": value, ...} of `member`s: any number, but none only if it `may_be_empty`.
  ExprPtr ObjectOf(const ExprPtr& member, bool may_be_empty);
  // "key": value
  ExprPtr Member(ExprPtr quoted_key, ExprPtr value);
  // Any key but `names`, quoted.
  ExprPtr KeyExcept(const std::vector<std::string_view>& names);

 private:
  ExprPtr ExceptTexts(const std::vector<std::string_view>& sorted, size_t offset);

  Grammar* grammar_;
  int space_ = -1;
  int character_ = -1;
  int value_ = -1;
};

// `expr`, a language of plain texts, as the contents of JSON strings.
ExprPtr EscapeForJson(const ExprPtr& expr);
// `text` as a quoted JSON string.
ExprPtr QuotedJson(std::string_view text);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_CONSTRAINT_JSON_RULES_H_
