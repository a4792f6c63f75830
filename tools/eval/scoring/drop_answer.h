// Scores an answer to a question of DROP (Dua et al. 2019, arXiv:1903.00161): exact match and F1
// over bags of words, for numbers, spans and sets of spans. Stateless; thread-safe.
#ifndef VALLM_TOOLS_EVAL_SCORING_DROP_ANSWER_H_
#define VALLM_TOOLS_EVAL_SCORING_DROP_ANSWER_H_

#include <string>
#include <string_view>
#include <vector>

namespace vallm::eval {

// One right answer: a number, a date, or the spans that belong to it together.
using DropAnswer = std::vector<std::string>;

struct DropScore {
  double exact_match = 0;
  double f1 = 0;
};

// What follows the first "Answer:" of the text up to the end of its line; all of it without one.
std::string ExtractDropAnswer(std::string_view text);

// The best over the right answers; ones that are empty do not count. As in EvalScope 0.16.1 the
// answer is one span. F1 pairs up the bags of answer and reference so that the sum is greatest, and
// is 0 for a pair whose numbers differ.
DropScore ScoreDrop(const std::string& answer, const std::vector<DropAnswer>& references);

// Lower case, without articles and punctuation; numbers in one form ("3" is "3.0").
std::string NormalDropSpan(std::string_view span);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_SCORING_DROP_ANSWER_H_
