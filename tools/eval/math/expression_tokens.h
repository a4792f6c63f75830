// Tokens of a mathematical expression.
#ifndef VALLM_TOOLS_EVAL_MATH_EXPRESSION_TOKENS_H_
#define VALLM_TOOLS_EVAL_MATH_EXPRESSION_TOKENS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace vallm::eval {

struct MathToken {
  enum Kind { kNumber, kName, kCommand, kSign, kEnd };
  Kind kind = kEnd;
  // Digits; a letter, or a word that names a function or constant; a command without its backslash;
  // one ASCII sign.
  std::string text;
  size_t offset = 0;  // in bytes
};

// Ends with a kEnd token. Errors: INVALID_ARGUMENT for characters that have no meaning in maths.
absl::StatusOr<std::vector<MathToken>> MathTokens(std::string_view text);

// Functions of one argument, in LaTeX and plain: "sin", "ln".
bool IsMathFunction(std::string_view name);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_MATH_EXPRESSION_TOKENS_H_
