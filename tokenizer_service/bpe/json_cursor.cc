#include "tokenizer_service/bpe/json_cursor.h"

#include "tokenizer_service/bpe/utf8.h"

namespace vallm::tokenizer {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

char JsonCursor::Peek() {
  while (offset_ < text_.size()) {
    const char c = text_[offset_];
    if (c != ' ' && c != '\n' && c != '\t' && c != '\r') return c;
    ++offset_;
  }
  return 0;
}

bool JsonCursor::AtEnd() {
  Peek();
  return offset_ == text_.size();
}

bool JsonCursor::Consume(char c) {
  if (Peek() != c || offset_ == text_.size()) return false;
  ++offset_;
  return true;
}

bool JsonCursor::ReadString(std::string* out) {
  if (!Consume('"')) return false;
  out->clear();
  size_t plain = offset_;
  for (; offset_ < text_.size(); ++offset_) {
    const char c = text_[offset_];
    if (c != '"' && c != '\\' && static_cast<uint8_t>(c) >= 0x20) continue;
    out->append(text_, plain, offset_ - plain);
    ++offset_;
    if (c == '"') return true;
    if (c != '\\' || !ReadEscape(out)) return false;
    plain = offset_--;
  }
  return false;
}

bool JsonCursor::ReadString(std::string_view* out, std::deque<std::string>* storage) {
  if (Peek() != '"') return false;
  const size_t begin = offset_ + 1;
  size_t end = begin;
  while (end < text_.size() && text_[end] != '"' && text_[end] != '\\' &&
         static_cast<uint8_t>(text_[end]) >= 0x20) {
    ++end;
  }
  if (end < text_.size() && text_[end] == '"') {
    *out = text_.substr(begin, end - begin);
    offset_ = end + 1;
    return true;
  }
  if (!ReadString(&storage->emplace_back())) return false;
  *out = storage->back();
  return true;
}

bool JsonCursor::ReadEscape(std::string* out) {
  if (offset_ == text_.size()) return false;
  const char c = text_[offset_++];
  constexpr std::string_view kLetters = "\"\\/bfnrt";
  constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
  if (const size_t i = kLetters.find(c); i != std::string_view::npos) {
    out->push_back(kMeanings[i]);
    return true;
  }
  char32_t codepoint;
  if (c != 'u' || !ReadHex(&codepoint)) return false;
  if (codepoint >= 0xD800 && codepoint < 0xE000) {
    char32_t low;
    if (codepoint >= 0xDC00 || text_.substr(offset_, 2) != "\\u") return false;
    offset_ += 2;
    if (!ReadHex(&low) || low < 0xDC00 || low >= 0xE000) return false;
    codepoint = 0x10000 + ((codepoint - 0xD800) << 10) + (low - 0xDC00);
  }
  AppendUtf8(codepoint, out);
  return true;
}

bool JsonCursor::ReadHex(char32_t* out) {
  *out = 0;
  for (int i = 0; i < 4; ++i, ++offset_) {
    if (offset_ == text_.size()) return false;
    const char c = text_[offset_];
    const char lower = static_cast<char>(c | 0x20);
    const int digit = IsDigit(c) ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
    if (digit < 0) return false;
    *out = *out << 4 | static_cast<char32_t>(digit);
  }
  return true;
}

bool JsonCursor::ReadSmallInt(int32_t* out) {
  Peek();
  const size_t begin = offset_;
  *out = 0;
  while (offset_ < text_.size() && IsDigit(text_[offset_]) && offset_ - begin < 9) {
    *out = *out * 10 + (text_[offset_++] - '0');
  }
  const size_t digits = offset_ - begin;
  const bool leading_zero = digits > 1 && text_[begin] == '0';
  const char next = Peek();
  return digits > 0 && !leading_zero && (next == ',' || next == '}' || next == ']');
}

bool JsonCursor::SkipString() {
  for (++offset_; offset_ < text_.size(); ++offset_) {
    if (text_[offset_] == '\\') {
      ++offset_;
    } else if (text_[offset_] == '"') {
      ++offset_;
      return true;
    }
  }
  return false;
}

bool JsonCursor::SkipValue() {
  size_t depth = 0;
  do {
    switch (Peek()) {
      case '"':
        if (!SkipString()) return false;
        break;
      case '{':
      case '[':
        ++depth;
        ++offset_;
        break;
      case '}':
      case ']':
        if (depth == 0) return false;
        --depth;
        ++offset_;
        break;
      case ',':
      case ':':
        if (depth == 0) return false;
        ++offset_;
        break;
      case 0:
        return false;
      default:
        while (offset_ < text_.size() &&
               std::string_view(",:]}[{\" \n\t\r").find(text_[offset_]) == std::string_view::npos) {
          ++offset_;
        }
    }
  } while (depth > 0);
  return true;
}

}  // namespace vallm::tokenizer
