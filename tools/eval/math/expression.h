// A mathematical expression written in LaTeX or plainly, and its value at points. Understands sums,
// products (also implied), quotients, powers, roots, factorials, absolute values, binomials, mixed
// numbers, the usual functions, pi, e, i and infinity. Sets, intervals and matrices are the
// business of equality.h.
//
// Immutable; thread-safe.
#ifndef VALLM_TOOLS_EVAL_MATH_EXPRESSION_H_
#define VALLM_TOOLS_EVAL_MATH_EXPRESSION_H_

#include <complex>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace vallm::eval {

class Expression {
 public:
  using Value = std::complex<double>;
  using Point = std::function<Value(const std::string& variable)>;

  struct Node;  // of the syntax tree; defined in expression.cc

  // Errors: INVALID_ARGUMENT with the offset, for what is no single expression or nests too deep.
  static absl::StatusOr<Expression> Parse(std::string_view text);

  // NaN where it has no value.
  Value At(const Point& point) const;
  const std::set<std::string>& variables() const { return variables_; }

 private:
  std::shared_ptr<const Node> root_;
  std::set<std::string> variables_;
};

// Whether both have the same value: within 1e-4 of each other (relative) where they are real
// numbers, and otherwise at points spread over the negative and positive numbers.
bool SameValue(const Expression& a, const Expression& b);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_MATH_EXPRESSION_H_
