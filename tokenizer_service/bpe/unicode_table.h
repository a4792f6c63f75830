// What the tokenizer needs to know about a code point, one byte each: which class of the Qwen
// pre-tokeniser's expression it falls in, and whether NFC can leave it alone. Made from utf8proc's
// tables on first use (about 10 ms), immutable afterwards.
#ifndef VALLM_TOKENIZER_SERVICE_BPE_UNICODE_TABLE_H_
#define VALLM_TOKENIZER_SERVICE_BPE_UNICODE_TABLE_H_

#include <cstdint>
#include <vector>

namespace vallm::tokenizer {

// The classes are disjoint; \s is kSpace or kNewline.
enum class CharClass : uint8_t {
  kOther = 0,    // [^\s\p{L}\p{N}]
  kLetter = 1,   // \p{L}
  kNumber = 2,   // \p{N}
  kSpace = 3,    // [^\S\r\n]
  kNewline = 4,  // [\r\n]
};

class UnicodeTable {
 public:
  // The one table of the process. Thread-safe.
  static const UnicodeTable& Get();

  // REQUIRES for all: codepoint <= 0x10FFFF.
  CharClass ClassOf(char32_t codepoint) const {
    return static_cast<CharClass>(entries_[codepoint] & kClassMask);
  }
  bool IsMark(char32_t codepoint) const { return (entries_[codepoint] & kMark) != 0; }  // \p{M}
  // Whether text may be cut before this code point, and each side brought to NFC alone, and the
  // code point itself is its own NFC. True of nearly all text.
  bool IsNfcInert(char32_t codepoint) const { return (entries_[codepoint] & kNfcActive) == 0; }

 private:
  static constexpr uint8_t kClassMask = 0x07;
  static constexpr uint8_t kNfcActive = 0x08;
  static constexpr uint8_t kMark = 0x10;

  UnicodeTable();
  void MarkNfcActive();

  std::vector<uint8_t> entries_;  // [0x110000]
};

// Whether `codepoint` matches \w of Unicode regular expressions (UTS 18): alphabetic, a mark, a
// decimal digit, connector punctuation or a join control.
bool IsWordCharacter(char32_t codepoint);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_BPE_UNICODE_TABLE_H_
