// How much a text overlaps with a reference: BLEU's n-gram precisions and ROUGE. Words are the
// Treebank's (BLEU) or what stands between spaces (ROUGE); in texts with Han characters each of
// them is a word. Stateless; thread-safe.
#ifndef VALLM_TOOLS_EVAL_SCORING_TEXT_OVERLAP_H_
#define VALLM_TOOLS_EVAL_SCORING_TEXT_OVERLAP_H_

#include <string>
#include <string_view>
#include <vector>

namespace vallm::eval {

struct Overlap {
  double precision = 0, recall = 0, f1 = 0;
};

// N-grams that count once each (sets), n = 1 or 2; longest common subsequence of words.
Overlap RougeN(std::string_view answer, std::string_view reference, size_t n);
Overlap RougeL(std::string_view answer, std::string_view reference);

// The clipped n-gram precision times the brevity penalty, n = 1 to 4.
double BleuN(std::string_view answer, std::string_view reference, size_t n);

// Splits at white space and sets off every Han character.
std::vector<std::string> OverlapWords(std::string_view text);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_SCORING_TEXT_OVERLAP_H_
