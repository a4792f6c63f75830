// Finds the letter that an answer to a multiple-choice question settles on. The rules are those of
// EvalScope 0.16.1 (docs/accuracy.md lists them), so that scores compare with published ones.
// Stateless; thread-safe.
#ifndef VALLM_TOOLS_EVAL_SCORING_CHOICE_ANSWER_H_
#define VALLM_TOOLS_EVAL_SCORING_CHOICE_ANSWER_H_

#include <string>
#include <string_view>

namespace vallm::eval {

// What the extractors return where there is no letter; never equal to one.
inline constexpr char kNoChoice[] = "No valid option found";

// For English prompts that ask for "the answer is (X)" or "ANSWER: X" (MMLU-Pro): the first such
// phrase, else the last capital among `options` ("ABCD").
std::string FirstStatedChoice(std::string_view text, std::string_view options);

// For prompts in Chinese and English (C-Eval, general_mcq): rules from the explicit ("答案是B") to
// the vague (a letter anywhere); the first that applies decides. Of several letters within what it
// matched, the first of `options` counts.
std::string ChineseStatedChoice(std::string_view text, std::string_view options);

// For \boxed{} prompts (GPQA): the last letter A to D that stands alone, in either case; without
// one, the text without its outer white space and full stops.
std::string LastLoneChoice(std::string_view text);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_SCORING_CHOICE_ANSWER_H_
