#include "tokenizer_service/bpe/utf8.h"

#include <cstdint>

namespace vallm::tokenizer {
namespace {

// What a lead byte promises: the length of the character and the range of its second byte (which is
// where overlong forms, surrogates and too large values are refused). Length 0: never a lead byte.
struct Lead {
  uint8_t length;
  uint8_t second_min;
  uint8_t second_max;
};

Lead ClassifyLead(uint8_t byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

}  // namespace

Utf8Step DecodeAnyUtf8(std::string_view bytes) {
  const auto at = [bytes](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  const Lead lead = ClassifyLead(at(0));
  if (lead.length == 1) return {Utf8Kind::kCharacter, 1, at(0)};
  if (lead.length == 0) return {Utf8Kind::kInvalid, 1, 0};
  char32_t codepoint = at(0) & (0xFFu >> (lead.length + 1));
  for (size_t i = 1; i < lead.length; ++i) {
    if (i == bytes.size()) return {Utf8Kind::kIncomplete, i, 0};
    const uint8_t low = i == 1 ? lead.second_min : 0x80;
    const uint8_t high = i == 1 ? lead.second_max : 0xBF;
    if (at(i) < low || at(i) > high) return {Utf8Kind::kInvalid, i, 0};
    codepoint = (codepoint << 6) | (at(i) & 0x3Fu);
  }
  return {Utf8Kind::kCharacter, lead.length, codepoint};
}

std::optional<size_t> FirstInvalidUtf8(std::string_view text) {
  size_t offset = 0;
  while (offset < text.size()) {
    if (static_cast<uint8_t>(text[offset]) < 0x80) {
      offset += AsciiPrefix(text.substr(offset));
      continue;
    }
    const Utf8Step step = DecodeUtf8(text.substr(offset));
    if (step.kind != Utf8Kind::kCharacter) return offset;
    offset += step.length;
  }
  return std::nullopt;
}

std::string ReplaceInvalidUtf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const size_t valid = FirstInvalidUtf8(bytes).value_or(bytes.size());
    out.append(bytes.substr(0, valid));
    bytes.remove_prefix(valid);
    if (bytes.empty()) break;
    out.append(kReplacementCharacter);
    bytes.remove_prefix(DecodeUtf8(bytes).length);
  }
  return out;
}

size_t IncompleteUtf8Suffix(std::string_view bytes) {
  // A lead byte can wait for at most three more, so only the last three positions can begin one.
  for (size_t length = 1; length <= std::min<size_t>(3, bytes.size()); ++length) {
    const Utf8Step step = DecodeUtf8(bytes.substr(bytes.size() - length));
    if (step.kind == Utf8Kind::kIncomplete && step.length == length) return length;
  }
  return 0;
}

void AppendUtf8(char32_t codepoint, std::string* out) {
  const auto trail = [codepoint](int shift) {
    return static_cast<char>(0x80 | ((codepoint >> shift) & 0x3F));
  };
  if (codepoint < 0x80) {
    out->push_back(static_cast<char>(codepoint));
  } else if (codepoint < 0x800) {
    out->append({static_cast<char>(0xC0 | (codepoint >> 6)), trail(0)});
  } else if (codepoint < 0x10000) {
    out->append({static_cast<char>(0xE0 | (codepoint >> 12)), trail(6), trail(0)});
  } else {
    out->append({static_cast<char>(0xF0 | (codepoint >> 18)), trail(12), trail(6), trail(0)});
  }
}

}  // namespace vallm::tokenizer
