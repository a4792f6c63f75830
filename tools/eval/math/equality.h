// Whether two mathematical answers say the same. The order of the questions is that of
// Qwen2.5-Math's evaluation (and so EvalScope's): the same text, the same number, the same parts of
// a tuple, interval or matrix, the same equation, the same value. Stateless; thread-safe.
#ifndef VALLM_TOOLS_EVAL_MATH_EQUALITY_H_
#define VALLM_TOOLS_EVAL_MATH_EQUALITY_H_

#include <string>
#include <string_view>

namespace vallm::eval {

// Both in the form of NormalMathAnswer. Numbers are equal within 1e-4 (relative), also when one is
// the other as a percentage; brackets of intervals may differ in kind; sets have no order. Not
// symmetric: `reference` is the right answer.
bool EqualMath(std::string_view answer, std::string_view reference);

// `answer` without words around it: Chinese or English before a colon, "约", units behind a number
// ("5厘米", "12 cm", "3 apples"). Unchanged when nothing but words would be left.
std::string WithoutWords(std::string_view answer);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_MATH_EQUALITY_H_
