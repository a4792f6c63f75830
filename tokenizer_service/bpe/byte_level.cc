#include "tokenizer_service/bpe/byte_level.h"

#include <array>
#include <cstdint>

#include "tokenizer_service/bpe/utf8.h"

namespace vallm::tokenizer {
namespace {

constexpr int16_t kNone = -1;

bool StandsForItself(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) ||
         (byte >= 0xAE && byte <= 0xFF);
}

// The byte of each character of the alphabet: printable Latin-1 stands for itself, the other 68
// bytes follow in order from U+0100.
std::array<int16_t, 0x144> MakeAlphabet() {
  std::array<int16_t, 0x144> alphabet;
  alphabet.fill(kNone);
  size_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    alphabet[StandsForItself(byte) ? static_cast<size_t>(byte) : next++] =
        static_cast<int16_t>(byte);
  }
  return alphabet;
}

}  // namespace

bool AppendByteLevelBytes(std::string_view text, std::string* bytes) {
  static const std::array<int16_t, 0x144> alphabet = MakeAlphabet();
  const size_t before = bytes->size();
  bytes->reserve(before + text.size());
  while (!text.empty()) {
    const Utf8Step step = DecodeUtf8(text);
    const bool known = step.kind == Utf8Kind::kCharacter && step.codepoint < alphabet.size() &&
                       alphabet[step.codepoint] != kNone;
    if (!known) {
      bytes->resize(before);
      return false;
    }
    bytes->push_back(static_cast<char>(alphabet[step.codepoint]));
    text.remove_prefix(step.length);
  }
  return true;
}

}  // namespace vallm::tokenizer
