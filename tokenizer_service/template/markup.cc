#include "tokenizer_service/template/markup.h"

#include <array>
#include <cstdlib>
#include <utility>

#include "tokenizer_service/template/unicode.h"

namespace vallm::tokenizer {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kReferences = {{
    {"amp", "&"},
    {"lt", "<"},
    {"gt", ">"},
    {"quot", "\""},
    {"apos", "'"},
    {"nbsp", "\u00a0"},
    {"copy", "\u00a9"},
}};

// Resolves the reference between '&' and ';'. False if it is none we know.
bool AppendReference(std::string_view name, std::string* out) {
  if (name.size() > 1 && name[0] == '#') {
    const bool hex = name[1] == 'x' || name[1] == 'X';
    const std::string digits(name.substr(hex ? 2 : 1));
    char* end = nullptr;
    const unsigned long c = std::strtoul(digits.c_str(), &end, hex ? 16 : 10);
    if (digits.empty() || *end != '\0' || c == 0 || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) {
      return false;
    }
    AppendUtf8(static_cast<char32_t>(c), out);
    return true;
  }
  for (const auto& [known, text] : kReferences) {
    if (name == known) {
      out->append(text);
      return true;
    }
  }
  return false;
}

std::string Unescape(std::string_view text) {
  std::string out;
  for (size_t pos = 0; pos < text.size();) {
    if (text[pos] == '&') {
      const size_t end = text.find(';', pos);
      if (end != std::string_view::npos && end - pos <= 10 &&
          AppendReference(text.substr(pos + 1, end - pos - 1), &out)) {
        pos = end + 1;
        continue;
      }
    }
    out.push_back(text[pos++]);
  }
  return out;
}

// Removes each piece from `open` to the next `close`.
std::string RemoveBetween(std::string_view text, std::string_view open, std::string_view close) {
  std::string out;
  size_t pos = 0;
  while (true) {
    const size_t begin = text.find(open, pos);
    const size_t end =
        begin == std::string_view::npos ? begin : text.find(close, begin + open.size());
    if (end == std::string_view::npos) break;
    out.append(text.substr(pos, begin - pos));
    pos = end + close.size();
  }
  out.append(text.substr(pos));
  return out;
}

}  // namespace

std::string EscapeHtml(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (char c : text) {
    switch (c) {
      case '&':
        out.append("&amp;");
        break;
      case '<':
        out.append("&lt;");
        break;
      case '>':
        out.append("&gt;");
        break;
      case '\'':
        out.append("&#39;");
        break;
      case '"':
        out.append("&#34;");
        break;
      default:
        out.push_back(c);
    }
  }
  return out;
}

std::string EscapeUnlessMarkup(const Value& value) {
  return value.str().markup() ? std::string(value.text()) : EscapeHtml(value.text());
}

std::string StripTags(std::string_view text) {
  const std::string bare = RemoveBetween(RemoveBetween(text, "<!--", "-->"), "<", ">");
  std::string collapsed;
  bool gap = false;
  for (size_t pos = 0; pos < bare.size();) {
    const char32_t c = NextCodePoint(bare, &pos);
    if (IsSpace(c)) {
      gap = true;
      continue;
    }
    if (gap && !collapsed.empty()) collapsed.push_back(' ');
    gap = false;
    AppendUtf8(c, &collapsed);
  }
  return Unescape(collapsed);
}

}  // namespace vallm::tokenizer
