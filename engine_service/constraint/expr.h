// The intermediate grammar: every kind of constraint (JSON schema, regular expression, choice,
// EBNF, tool calls) is turned into rules of these expressions, and only they become an automaton.
//
// Expressions are immutable and may share parts. Not here: any notation they are read from.
#ifndef VALLM_ENGINE_SERVICE_CONSTRAINT_EXPR_H_
#define VALLM_ENGINE_SERVICE_CONSTRAINT_EXPR_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine_service/constraint/char_set.h"

namespace vallm::engine {

struct Expr;
using ExprPtr = std::shared_ptr<const Expr>;

// Unbounded, as a repetition's maximum.
inline constexpr int kUnbounded = -1;

struct Expr {
  enum class Kind {
    kBytes,     // exactly `text`; the empty text is the empty expression
    kChars,     // one character of `chars`
    kSequence,  // `parts` one after the other
    kChoice,    // one of `parts`; none of them: matches nothing
    kRepeat,    // parts[0], `min` to `max` times
    kRule,      // the rule number `rule` of the grammar
    kToken,     // the one added token whose content is `text`, never its spelling
  };

  Kind kind = Kind::kBytes;
  std::string text;
  CharSet chars;
  std::vector<ExprPtr> parts;
  int min = 0;
  int max = 0;
  int rule = 0;
};

ExprPtr BytesExpr(std::string_view text);
ExprPtr CharsExpr(CharSet chars);
ExprPtr SequenceExpr(std::vector<ExprPtr> parts);
ExprPtr ChoiceExpr(std::vector<ExprPtr> parts);
// REQUIRES: 0 <= min, and max >= min or kUnbounded.
ExprPtr RepeatExpr(ExprPtr part, int min, int max);
ExprPtr OptionalExpr(ExprPtr part);
ExprPtr RuleExpr(int rule);
ExprPtr TokenExpr(std::string_view content);

struct GrammarRule {
  std::string name;  // for messages
  ExprPtr body;
};

struct Grammar {
  std::vector<GrammarRule> rules;
  int root = 0;

  // The number of the new rule; its body may be set later.
  int AddRule(std::string name, ExprPtr body = nullptr);
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_CONSTRAINT_EXPR_H_
