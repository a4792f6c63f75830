#include "engine_service/constraint/expr.h"

#include <utility>

namespace vallm::engine {

ExprPtr BytesExpr(std::string_view text) {
  return std::make_shared<const Expr>(
      Expr{.kind = Expr::Kind::kBytes, .text = std::string(text), .chars = {}, .parts = {}});
}

ExprPtr CharsExpr(CharSet chars) {
  if (chars.empty()) return ChoiceExpr({});
  return std::make_shared<const Expr>(
      Expr{.kind = Expr::Kind::kChars, .text = {}, .chars = std::move(chars), .parts = {}});
}

ExprPtr SequenceExpr(std::vector<ExprPtr> parts) {
  if (parts.size() == 1) return parts[0];
  return std::make_shared<const Expr>(
      Expr{.kind = Expr::Kind::kSequence, .text = {}, .chars = {}, .parts = std::move(parts)});
}

ExprPtr ChoiceExpr(std::vector<ExprPtr> parts) {
  if (parts.size() == 1) return parts[0];
  return std::make_shared<const Expr>(
      Expr{.kind = Expr::Kind::kChoice, .text = {}, .chars = {}, .parts = std::move(parts)});
}

ExprPtr RepeatExpr(ExprPtr part, int min, int max) {
  if (min == 1 && max == 1) return part;
  return std::make_shared<const Expr>(Expr{.kind = Expr::Kind::kRepeat,
                                           .text = {},
                                           .chars = {},
                                           .parts = {std::move(part)},
                                           .min = min,
                                           .max = max});
}

ExprPtr OptionalExpr(ExprPtr part) { return RepeatExpr(std::move(part), 0, 1); }

ExprPtr RuleExpr(int rule) {
  return std::make_shared<const Expr>(
      Expr{.kind = Expr::Kind::kRule, .text = {}, .chars = {}, .parts = {}, .rule = rule});
}

ExprPtr TokenExpr(std::string_view content) {
  return std::make_shared<const Expr>(
      Expr{.kind = Expr::Kind::kToken, .text = std::string(content), .chars = {}, .parts = {}});
}

int Grammar::AddRule(std::string name, ExprPtr body) {
  rules.push_back({std::move(name), std::move(body)});
  return static_cast<int>(rules.size()) - 1;
}

}  // namespace vallm::engine
