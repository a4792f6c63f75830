#include "tokenizer_service/bpe/pretokenizer.h"

#include "tokenizer_service/bpe/utf8.h"

namespace vallm::tokenizer {
namespace {

struct KnownPattern {
  std::string_view pattern;
  SplitRules rules;
};

constexpr KnownPattern kKnownPatterns[] = {
    {kQwenSplitPattern, {}},
    {R"re((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re",
     {.max_digits = 3}},
    {R"re((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re",
     {.marks_in_words = true}},
};

}  // namespace

std::optional<SplitRules> FindSplitRules(std::string_view pattern) {
  for (const KnownPattern& known : kKnownPatterns) {
    if (known.pattern == pattern) return known.rules;
  }
  return std::nullopt;
}

inline PieceScanner::Char PieceScanner::At(size_t offset) const {
  if (offset >= text_.size()) return {CharClass::kOther, 0};
  const auto byte = static_cast<unsigned char>(text_[offset]);
  if (byte < 0x80) return {table_.ClassOf(byte), 1};
  const Utf8Step step = DecodeUtf8(text_.substr(offset));
  if (rules_.marks_in_words && table_.IsMark(step.codepoint)) {
    return {CharClass::kLetter, step.length};
  }
  return {table_.ClassOf(step.codepoint), step.length};
}

size_t PieceScanner::SkipRun(size_t offset, CharClass cls) const {
  for (Char c = At(offset); c.length != 0 && c.cls == cls; c = At(offset)) offset += c.length;
  return offset;
}

size_t PieceScanner::ContractionLength(size_t offset) const {
  const std::string_view rest = text_.substr(offset + 1, 2);
  if (rest.empty()) return 0;
  const auto lower = [rest](size_t i) { return i < rest.size() ? rest[i] | 0x20 : 0; };
  switch (lower(0)) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return 2;
    case 'r':
    case 'v':
      return lower(1) == 'e' ? 3 : 0;
    case 'l':
      return lower(1) == 'l' ? 3 : 0;
    default:
      // The long s (U+017F) is an s to a case-insensitive expression.
      return rest == "\xC5\xBF" ? 3 : 0;
  }
}

// \s*[\r\n]+ | \s+(?!\S) | \s+ : up to the last line break of the white space, else all but its
// last character, which may begin the next piece.
size_t PieceScanner::WhitespaceEnd(size_t offset) const {
  size_t end = offset;
  size_t last_begin = offset;
  size_t newline_end = 0;
  for (Char c = At(end); c.length != 0; c = At(end)) {
    if (c.cls != CharClass::kSpace && c.cls != CharClass::kNewline) break;
    last_begin = end;
    end += c.length;
    if (c.cls == CharClass::kNewline) newline_end = end;
  }
  if (newline_end != 0) return newline_end;
  if (end == text_.size() || last_begin == offset) return end;
  return last_begin;
}

// `offset`: behind the first digit.
size_t PieceScanner::NumberEnd(size_t offset) const {
  for (int digits = 1; digits < rules_.max_digits; ++digits) {
    const Char next = At(offset);
    if (next.length == 0 || next.cls != CharClass::kNumber) break;
    offset += next.length;
  }
  return offset;
}

size_t PieceScanner::PieceEnd(size_t offset) const {
  const Char first = At(offset);
  const size_t second_offset = offset + first.length;
  switch (first.cls) {
    case CharClass::kLetter:
      return SkipRun(second_offset, CharClass::kLetter);
    case CharClass::kNumber:
      return NumberEnd(second_offset);
    case CharClass::kNewline:
      return WhitespaceEnd(offset);
    case CharClass::kOther:
    case CharClass::kSpace:
      break;
  }
  if (text_[offset] == '\'') {
    if (const size_t length = ContractionLength(offset); length != 0) return offset + length;
  }
  const Char second = At(second_offset);
  if (second.length != 0 && second.cls == CharClass::kLetter) {
    return SkipRun(second_offset + second.length, CharClass::kLetter);
  }
  const bool punctuation =
      first.cls == CharClass::kOther ||
      (text_[offset] == ' ' && second.length != 0 && second.cls == CharClass::kOther);
  if (!punctuation) return WhitespaceEnd(offset);
  return SkipRun(SkipRun(second_offset, CharClass::kOther), CharClass::kNewline);
}

}  // namespace vallm::tokenizer
