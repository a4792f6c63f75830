// English text cut into sentences and words, as the public scorers cut it.
//
// Sentences: the rules of Punkt (Kiss and Strunk 2006), which IFEval counts by through NLTK,
// without its trained tables: abbreviations and words that begin sentences are short lists here.
// Words: the Penn Treebank's conventions, as NLTK's word_tokenize. Stateless; thread-safe.
#ifndef VALLM_TOOLS_EVAL_TEXT_SENTENCES_H_
#define VALLM_TOOLS_EVAL_TEXT_SENTENCES_H_

#include <string>
#include <string_view>
#include <vector>

namespace vallm::eval {

std::vector<std::string> Sentences(std::string_view text);

// Words and punctuation marks: "don't" is "do", "n't".
std::vector<std::string> TreebankWords(std::string_view text);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_TEXT_SENTENCES_H_
