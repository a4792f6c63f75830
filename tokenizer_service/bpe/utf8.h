// UTF-8 as the tokenizer and the detokenizer need it: one step of a strict decoder, and what
// follows from it. Strict means Unicode's table 3-7: no overlong forms, no surrogates, nothing
// above U+10FFFF. Invalid bytes are grouped in maximal subparts, as WHATWG and Python do when they
// replace them.
//
// Pure functions, thread-safe, no errors.
#ifndef VALLM_TOKENIZER_SERVICE_BPE_UTF8_H_
#define VALLM_TOKENIZER_SERVICE_BPE_UTF8_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace vallm::tokenizer {

// U+FFFD in UTF-8: what one maximal invalid subpart becomes.
inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

enum class Utf8Kind {
  kCharacter,   // a whole, valid character
  kIncomplete,  // all the bytes there are begin a valid character, but do not finish it
  kInvalid,     // a maximal subpart that no following byte can make valid
};

struct Utf8Step {
  Utf8Kind kind;
  size_t length;       // bytes the step covers, 1..4 (1..3 unless kCharacter)
  char32_t codepoint;  // of a kCharacter; 0 otherwise
};

// DecodeUtf8() without its short cuts.
Utf8Step DecodeAnyUtf8(std::string_view bytes);

// Decodes what stands at the beginning of `bytes`. REQUIRES: !bytes.empty().
inline Utf8Step DecodeUtf8(std::string_view bytes) {
  const auto at = [bytes](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  if (at(0) < 0x80) return {Utf8Kind::kCharacter, 1, at(0)};
  if (bytes.size() >= 3 && (at(0) & 0xF0) == 0xE0) {
    const char32_t codepoint = (at(0) & 0x0Fu) << 12 | (at(1) & 0x3Fu) << 6 | (at(2) & 0x3Fu);
    const bool trails = (at(1) & 0xC0) == 0x80 && (at(2) & 0xC0) == 0x80;
    const bool surrogate = codepoint - 0xD800 < 0x800;
    if (trails && codepoint >= 0x800 && !surrogate) return {Utf8Kind::kCharacter, 3, codepoint};
  } else if (bytes.size() >= 2 && at(0) >= 0xC2 && at(0) < 0xE0 && (at(1) & 0xC0) == 0x80) {
    return {Utf8Kind::kCharacter, 2, (at(0) & 0x1Fu) << 6 | (at(1) & 0x3Fu)};
  }
  return DecodeAnyUtf8(bytes);
}

// The number of ASCII bytes that `text` begins with.
inline size_t AsciiPrefix(std::string_view text) {
  constexpr uint64_t kHighBits = 0x8080808080808080u;
  size_t length = 0;
  for (uint64_t word; length + sizeof(word) <= text.size(); length += sizeof(word)) {
    std::memcpy(&word, text.data() + length, sizeof(word));
    if (const uint64_t high = word & kHighBits; high != 0) {
      return length + static_cast<size_t>(std::countr_zero(high)) / 8;
    }
  }
  while (length < text.size() && static_cast<uint8_t>(text[length]) < 0x80) ++length;
  return length;
}

// The offset of the first byte of `text` that is not part of a valid character (an unfinished
// character at the end counts as invalid), or nullopt if all of it is valid.
std::optional<size_t> FirstInvalidUtf8(std::string_view text);

// `bytes` with every maximal invalid subpart, and an unfinished character at the end, replaced by
// one U+FFFD each.
std::string ReplaceInvalidUtf8(std::string_view bytes);

// The number of bytes at the end of `bytes` (0..3) that begin a valid character without finishing
// it: what a stream holds back until the next bytes come.
size_t IncompleteUtf8Suffix(std::string_view bytes);

// Appends the UTF-8 form of `codepoint`. REQUIRES: a Unicode scalar value.
void AppendUtf8(char32_t codepoint, std::string* out);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_BPE_UTF8_H_
