// Cuts text in the pieces that byte-pair merges stay within: a hand-written scanner for the
// expressions of the Qwen families,
//   (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*
//   |\s*[\r\n]+|\s+(?!\S)|\s+
// and its variants, with Unicode classes.
#ifndef VALLM_TOKENIZER_SERVICE_BPE_PRETOKENIZER_H_
#define VALLM_TOKENIZER_SERVICE_BPE_PRETOKENIZER_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include "tokenizer_service/bpe/unicode_table.h"

namespace vallm::tokenizer {

// In what the variants differ.
struct SplitRules {
  int max_digits = 1;           // of a piece of \p{N}
  bool marks_in_words = false;  // [\p{L}\p{M}] where else \p{L} stands

  friend bool operator==(const SplitRules&, const SplitRules&) = default;
};

// The expression as tokenizer.json spells it for Qwen2 and Qwen3.
inline constexpr std::string_view kQwenSplitPattern =
    R"re((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re";

// The rules that an expression stands for, if it is one of those known.
std::optional<SplitRules> FindSplitRules(std::string_view pattern);

class PieceScanner {
 public:
  // `text` must outlive the scanner. REQUIRES: valid UTF-8.
  explicit PieceScanner(std::string_view text, const SplitRules& rules = {})
      : text_(text), table_(UnicodeTable::Get()), rules_(rules) {}

  // The next piece, never empty; the pieces together are the text. Empty at the end.
  // The whole walk is linear in the text.
  std::string_view Next() {
    const size_t begin = offset_;
    if (begin == text_.size()) return {};
    const size_t word_end = AsciiWordEnd(begin);
    offset_ = word_end != 0 ? word_end : PieceEnd(begin);
    return text_.substr(begin, offset_ - begin);
  }

 private:
  struct Char {
    CharClass cls;
    size_t length;  // bytes; 0 past the end, where cls is kOther
  };

  // The end of the piece at `offset` if it is an ASCII word, with or without a character before it,
  // and not too near to the end of the text; else 0.
  size_t AsciiWordEnd(size_t offset) const {
    constexpr size_t kWordBytes = sizeof(uint64_t);
    constexpr uint64_t kOnes = 0x0101010101010101u;
    constexpr uint64_t kHighBits = 0x80 * kOnes;
    size_t end = offset + 1;
    if (end + kWordBytes > text_.size()) return 0;
    if (!IsAsciiLetter(text_[offset])) {
      if (!MayPrecedeWord(text_[offset]) || !IsAsciiLetter(text_[end])) return 0;
      ++end;
    }
    for (; end + kWordBytes <= text_.size(); end += kWordBytes) {
      uint64_t word;
      std::memcpy(&word, text_.data() + end, kWordBytes);
      const uint64_t lower = (word | 0x20 * kOnes) & ~kHighBits;
      const uint64_t from_a = lower + (0x80 - 'a') * kOnes;
      const uint64_t above_z = lower + (0x80 - 'z' - 1) * kOnes;
      const uint64_t other = (~from_a | above_z | word) & kHighBits;
      if (other == 0) continue;
      end += static_cast<size_t>(std::countr_zero(other)) / 8;
      return static_cast<uint8_t>(text_[end]) < 0x80 ? end : 0;
    }
    return 0;
  }
  static bool IsAsciiLetter(char c) { return static_cast<uint8_t>((c | 0x20) - 'a') < 26; }
  // ASCII that is neither letter, digit nor line break, nor the beginning of a contraction.
  static bool MayPrecedeWord(char c) {
    return static_cast<uint8_t>(c) < 0x80 && c != '\'' && c != '\n' && c != '\r' &&
           static_cast<uint8_t>(c - '0') >= 10;
  }

  Char At(size_t offset) const;
  // The end of the run of `cls` that begins at `offset`.
  size_t SkipRun(size_t offset, CharClass cls) const;
  // The bytes of a contraction ("'s", "'LL") at `offset`, 0 if there is none.
  size_t ContractionLength(size_t offset) const;
  size_t WhitespaceEnd(size_t offset) const;
  size_t NumberEnd(size_t offset) const;
  size_t PieceEnd(size_t offset) const;

  std::string_view text_;
  const UnicodeTable& table_;
  const SplitRules rules_;
  size_t offset_ = 0;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_BPE_PRETOKENIZER_H_
