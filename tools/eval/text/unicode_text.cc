#include "tools/eval/text/unicode_text.h"

#include <utf8proc.h>

namespace vallm::eval {
namespace {

// The character at byte `at`, and its length in bytes.
char32_t CharacterAt(std::string_view text, size_t at, size_t* size) {
  utf8proc_int32_t c = 0;
  const utf8proc_ssize_t length =
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data() + at),
                       static_cast<utf8proc_ssize_t>(text.size() - at), &c);
  if (length <= 0) {
    *size = 1;
    return static_cast<unsigned char>(text[at]);
  }
  *size = static_cast<size_t>(length);
  return static_cast<char32_t>(c);
}

size_t SpaceAtEnd(std::string_view text) {
  size_t end = text.size();
  while (end > 0) {
    size_t begin = end - 1;
    while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
    size_t size = 0;
    if (!IsSpace(CharacterAt(text, begin, &size))) break;
    end = begin;
  }
  return end;
}

}  // namespace

std::vector<char32_t> Characters(std::string_view text) {
  std::vector<char32_t> characters;
  for (size_t at = 0, size = 0; at < text.size(); at += size) {
    characters.push_back(CharacterAt(text, at, &size));
  }
  return characters;
}

std::string ToUtf8(char32_t c) {
  utf8proc_uint8_t bytes[4];
  const auto size = utf8proc_encode_char(static_cast<utf8proc_int32_t>(c), bytes);
  return std::string(reinterpret_cast<char*>(bytes), static_cast<size_t>(size));
}

std::string ToUtf8(const std::vector<char32_t>& characters) {
  std::string text;
  for (const char32_t c : characters) text += ToUtf8(c);
  return text;
}

bool IsSpace(char32_t c) {
  if (c <= 0x20) return c == 0x20 || (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x1F);
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return true;
    default:
      return c == 0x85;
  }
}

bool IsHan(char32_t c) { return c >= 0x4E00 && c <= 0x9FA5; }

bool HasHan(std::string_view text) {
  for (const char32_t c : Characters(text)) {
    if (IsHan(c)) return true;
  }
  return false;
}

std::string_view Strip(std::string_view text) {
  size_t begin = 0;
  for (size_t size = 0; begin < text.size(); begin += size) {
    if (!IsSpace(CharacterAt(text, begin, &size))) break;
  }
  return StripRight(text.substr(begin));
}

std::string_view StripRight(std::string_view text) { return text.substr(0, SpaceAtEnd(text)); }

std::string_view StripOf(std::string_view text, std::string_view unwanted) {
  const size_t begin = text.find_first_not_of(unwanted);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(unwanted) + 1 - begin);
}

std::vector<std::string_view> Words(std::string_view text) {
  std::vector<std::string_view> words;
  size_t begin = std::string_view::npos;
  for (size_t at = 0, size = 0; at < text.size(); at += size) {
    const bool space = IsSpace(CharacterAt(text, at, &size));
    if (!space && begin == std::string_view::npos) begin = at;
    if (space && begin != std::string_view::npos) {
      words.push_back(text.substr(begin, at - begin));
      begin = std::string_view::npos;
    }
  }
  if (begin != std::string_view::npos) words.push_back(text.substr(begin));
  return words;
}

std::vector<std::string_view> SplitAt(std::string_view text, std::string_view separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + separator.size());
  }
}

std::string Lower(std::string_view text) {
  std::string lower;
  for (const char32_t c : Characters(text)) {
    lower += ToUtf8(static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
  }
  return lower;
}

std::string Upper(std::string_view text) {
  std::string upper;
  for (const char32_t c : Characters(text)) {
    upper +=
        c == 0xDF
            ? "SS"
            : ToUtf8(static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))));
  }
  return upper;
}

namespace {

bool HasOneCase(std::string_view text, utf8proc_category_t wanted, utf8proc_category_t other) {
  bool cased = false;
  for (const char32_t c : Characters(text)) {
    const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
    if (category == other || category == UTF8PROC_CATEGORY_LT) return false;
    cased = cased || category == wanted;
  }
  return cased;
}

}  // namespace

bool IsUpper(std::string_view text) {
  return HasOneCase(text, UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LL);
}

bool IsLower(std::string_view text) {
  return HasOneCase(text, UTF8PROC_CATEGORY_LL, UTF8PROC_CATEGORY_LU);
}

std::string ReplaceEach(std::string_view text, std::string_view what, std::string_view by) {
  std::string result;
  while (true) {
    const size_t at = what.empty() ? std::string_view::npos : text.find(what);
    result.append(text.substr(0, at));
    if (at == std::string_view::npos) return result;
    result.append(by);
    text.remove_prefix(at + what.size());
  }
}

bool Contains(std::string_view text, std::string_view what) {
  return text.find(what) != std::string_view::npos;
}

}  // namespace vallm::eval
