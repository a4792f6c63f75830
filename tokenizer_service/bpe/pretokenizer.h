// Cuts text in the pieces that byte-pair merges stay within: a hand-written scanner for the one
// expression of the Qwen2 and Qwen3 families,
//   (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*
//   |\s*[\r\n]+|\s+(?!\S)|\s+
// with Unicode classes.
#ifndef VALLM_TOKENIZER_SERVICE_BPE_PRETOKENIZER_H_
#define VALLM_TOKENIZER_SERVICE_BPE_PRETOKENIZER_H_

#include <cstddef>
#include <string_view>

#include "tokenizer_service/bpe/unicode_table.h"

namespace vallm::tokenizer {

// The expression as tokenizer.json spells it.
inline constexpr std::string_view kQwenSplitPattern =
    R"re((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re";

class PieceScanner {
 public:
  // `text` must outlive the scanner. REQUIRES: valid UTF-8.
  explicit PieceScanner(std::string_view text) : text_(text), table_(UnicodeTable::Get()) {}

  // The next piece, never empty; the pieces together are the text. Empty at the end.
  // The whole walk is linear in the text.
  std::string_view Next();

 private:
  struct Char {
    CharClass cls;
    size_t length;  // bytes; 0 past the end, where cls is kOther
  };

  Char At(size_t offset) const;
  // The end of the run of `cls` that begins at `offset`.
  size_t SkipRun(size_t offset, CharClass cls) const;
  // The bytes of a contraction ("'s", "'LL") at `offset`, 0 if there is none.
  size_t ContractionLength(size_t offset) const;
  size_t WhitespaceEnd(size_t offset) const;
  size_t PieceEnd(size_t offset) const;

  std::string_view text_;
  const UnicodeTable& table_;
  size_t offset_ = 0;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_BPE_PRETOKENIZER_H_
