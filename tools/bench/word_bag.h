// Words that are one token each wherever they stand, so that a text of them has exactly as many
// tokens as words. (Random token ids decoded to text, which other benchmarks send, are another
// number of tokens when the server encodes them again.)
//
// Immutable after Collect; thread-safe.
#ifndef VALLM_TOOLS_BENCH_WORD_BAG_H_
#define VALLM_TOOLS_BENCH_WORD_BAG_H_

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tokenizer_service/bpe/tokenizer.h"

namespace vallm::tools {

class WordBag {
 public:
  // Looks through the vocabulary for words of ASCII letters. Errors: UNIMPLEMENTED when it has
  // fewer than 100.
  static absl::StatusOr<WordBag> Collect(const tokenizer::Tokenizer& tokenizer);

  // `count` words. At the start of a text the first one has no space before it.
  std::string Draw(int64_t count, bool at_start, std::mt19937_64& random) const;

 private:
  std::vector<std::string> first_;  // "word"
  std::vector<std::string> words_;  // " word"
};

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_BENCH_WORD_BAG_H_
