// English number words: "twenty-one" is 21, "two point five" is 2.5.
#ifndef VALLM_TOOLS_EVAL_MATH_NUMBER_WORDS_H_
#define VALLM_TOOLS_EVAL_MATH_NUMBER_WORDS_H_

#include <optional>
#include <string>
#include <string_view>

namespace vallm::eval {

// The number that the number words of `text` say, as digits; other words ("and", "apples") do not
// count. Nothing when there is no number word, or they make no number.
std::optional<std::string> NumberFromWords(std::string_view text);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_MATH_NUMBER_WORDS_H_
