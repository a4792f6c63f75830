// The text of a mathematical answer: finding it in what a model wrote, and writing it in one way.
// The rules are those of Qwen2.5-Math's evaluation, which EvalScope 0.16.1 and the published scores
// of MATH-500 and AIME use. Stateless; thread-safe.
#ifndef VALLM_TOOLS_EVAL_MATH_ANSWER_TEXT_H_
#define VALLM_TOOLS_EVAL_MATH_ANSWER_TEXT_H_

#include <string>
#include <string_view>

namespace vallm::eval {

// What the text settles on, in normal form: the content of the last \boxed{}, else what follows
// "the answer is", "final answer is" or "答案是", else the last number. "" when there is none.
std::string ExtractMathAnswer(std::string_view text);

// One form of writing for an answer: no units, dollar signs, percent signs, sizes of brackets or
// spaces; \dfrac and a/b as \frac{a}{b}; number words as digits; lists of integers sorted.
// Applied again it changes nothing that matters to EqualMath.
std::string NormalMathAnswer(std::string_view answer);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_MATH_ANSWER_TEXT_H_
