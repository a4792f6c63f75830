#include "tokenizer_service/template/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstring>

#include "tokenizer_service/template/unicode_data.h"

namespace vallm::tokenizer {
namespace {

bool InRanges(std::span<const CodePointRange> ranges, char32_t c) {
  const auto it = std::upper_bound(
      ranges.begin(), ranges.end(), c,
      [](char32_t value, const CodePointRange& range) { return value < range.first; });
  return it != ranges.begin() && c <= std::prev(it)->last;
}

const char8_t* FindLong(std::span<const LongMapping> rows, char32_t c) {
  const auto it =
      std::lower_bound(rows.begin(), rows.end(), c,
                       [](const LongMapping& row, char32_t value) { return row.from < value; });
  return it != rows.end() && it->from == c ? it->to : nullptr;
}

utf8proc_category_t Category(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

void AppendUpper(char32_t c, std::string* out) {
  if (c < 0x80) {
    out->push_back(static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c));
  } else if (const char8_t* text = FindLong(kLongUpper, c)) {
    out->append(reinterpret_cast<const char*>(text));
  } else {
    AppendUtf8(static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))), out);
  }
}

void AppendTitle(char32_t c, std::string* out) {
  if (c < 0x80) return AppendUpper(c, out);
  if (const char8_t* text = FindLong(kLongTitle, c)) {
    out->append(reinterpret_cast<const char*>(text));
  } else {
    AppendUtf8(static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(c))), out);
  }
}

bool IsCased(char32_t c) { return IsLower(c) || IsUpper(c) || IsTitle(c); }

bool IsCaseIgnorable(char32_t c) {
  switch (Category(c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      return c == '\'' || c == '.' || c == ':' || c == 0xB7 || c == 0x387 || c == 0x55F ||
             c == 0x5F4 || c == 0x2018 || c == 0x2019 || c == 0x2024 || c == 0x2027 ||
             c == 0xFE13 || c == 0xFE52 || c == 0xFE55 || c == 0xFF07 || c == 0xFF0E || c == 0xFF1A;
  }
}

// Unicode's Final_Sigma: a cased letter before, none after, looking past case-ignorable characters.
bool IsFinalSigma(std::string_view text, size_t begin, size_t end) {
  bool cased_before = false;
  for (size_t pos = begin; pos > 0 && !cased_before;) {
    const char32_t c = PreviousCodePoint(text, &pos);
    if (IsCaseIgnorable(c)) continue;
    if (!IsCased(c)) return false;
    cased_before = true;
  }
  if (!cased_before) return false;
  for (size_t pos = end; pos < text.size();) {
    const char32_t c = NextCodePoint(text, &pos);
    if (!IsCaseIgnorable(c)) return !IsCased(c);
  }
  return true;
}

// Lowers the code point of `text` that spans [begin, end).
void AppendLower(std::string_view text, size_t begin, size_t end, char32_t c, std::string* out) {
  if (c < 0x80) {
    out->push_back(static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c));
  } else if (c == 0x3A3) {
    AppendUtf8(IsFinalSigma(text, begin, end) ? 0x3C2 : 0x3C3, out);
  } else if (c == 0x130) {
    out->append("i\xCC\x87");
  } else {
    AppendUtf8(static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))), out);
  }
}

template <typename Strip>
std::string_view StripWhere(std::string_view text, bool left, bool right, const Strip& strip) {
  size_t begin = 0;
  while (left && begin < text.size()) {
    size_t next = begin;
    if (!strip(NextCodePoint(text, &next))) break;
    begin = next;
  }
  size_t end = text.size();
  while (right && end > begin) {
    size_t previous = end;
    if (!strip(PreviousCodePoint(text, &previous))) break;
    end = previous;
  }
  return text.substr(begin, end - begin);
}

}  // namespace

char32_t NextCodePoint(std::string_view text, size_t* pos) {
  const auto byte = [&text](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(*pos);
  if (lead < 0x80) return byte((*pos)++);
  const int extra = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
  char32_t c = lead & (0x3F >> extra);
  const size_t end = std::min(text.size(), *pos + static_cast<size_t>(extra) + 1);
  for (++*pos; *pos < end; ++*pos) c = (c << 6) | (byte(*pos) & 0x3F);
  return c;
}

char32_t PreviousCodePoint(std::string_view text, size_t* pos) {
  do {
    --*pos;
  } while (*pos > 0 && (static_cast<unsigned char>(text[*pos]) & 0xC0) == 0x80);
  size_t forward = *pos;
  return NextCodePoint(text, &forward);
}

int64_t CountCodePoints(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

size_t ByteOffset(std::string_view text, int64_t index) {
  size_t pos = 0;
  for (; index > 0 && pos < text.size(); --index) NextCodePoint(text, &pos);
  return pos;
}

size_t FindInvalidUtf8(std::string_view text) {
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  for (size_t pos = 0; pos < text.size();) {
    if (bytes[pos] < 0x80) {
      ++pos;
      continue;
    }
    utf8proc_int32_t c = 0;
    const auto used =
        utf8proc_iterate(bytes + pos, static_cast<utf8proc_ssize_t>(text.size() - pos), &c);
    if (used < 0) return pos;
    pos += static_cast<size_t>(used);
  }
  return std::string_view::npos;
}

size_t FindText(std::string_view text, std::string_view what, size_t pos) {
  if (what.size() <= 16 || pos >= text.size()) return text.find(what, pos);
  const void* found = memmem(text.data() + pos, text.size() - pos, what.data(), what.size());
  if (found == nullptr) return std::string_view::npos;
  return static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

bool IsSpace(char32_t c) {
  return (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool IsLineBreak(char32_t c) {
  return (c >= 10 && c <= 13) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

bool IsAlpha(char32_t c) {
  const auto category = Category(c);
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}
bool IsDecimal(char32_t c) { return Category(c) == UTF8PROC_CATEGORY_ND; }
int DecimalValue(char32_t c) {
  // Digits stand in runs of ten; only the mathematical ones follow each other without a gap.
  constexpr char32_t kMathematical = 0x1D7CE;
  if (c >= kMathematical && c < kMathematical + 50) return static_cast<int>(c - kMathematical) % 10;
  int value = 0;
  while (IsDecimal(c - static_cast<char32_t>(value) - 1)) ++value;
  return value;
}
bool IsDigit(char32_t c) { return IsDecimal(c) || InRanges(kDigitNotDecimal, c); }
bool IsNumeric(char32_t c) { return IsDecimal(c) || InRanges(kNumericNotDecimal, c); }
bool IsAlnum(char32_t c) { return IsAlpha(c) || IsNumeric(c); }
bool IsLower(char32_t c) { return Category(c) == UTF8PROC_CATEGORY_LL || InRanges(kLowerNotLl, c); }
bool IsUpper(char32_t c) { return Category(c) == UTF8PROC_CATEGORY_LU || InRanges(kUpperNotLu, c); }
bool IsTitle(char32_t c) { return Category(c) == UTF8PROC_CATEGORY_LT; }
bool IsWord(char32_t c) { return c == '_' || IsAlnum(c); }

bool IsPrintable(char32_t c) {
  switch (Category(c)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return false;
    case UTF8PROC_CATEGORY_ZS:
      return c == ' ';
    default:
      return true;
  }
}

bool IsIdentifier(std::string_view text) {
  if (text.empty()) return false;
  for (size_t pos = 0; pos < text.size();) {
    const bool first = pos == 0;
    const char32_t c = NextCodePoint(text, &pos);
    const auto category = Category(c);
    const bool start = c == '_' || IsAlpha(c) || category == UTF8PROC_CATEGORY_NL;
    const bool go_on = start || category == UTF8PROC_CATEGORY_ND ||
                       category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC ||
                       category == UTF8PROC_CATEGORY_PC || c == 0xB7;
    if (first ? !start : !go_on) return false;
  }
  return true;
}

std::string ToUpper(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t pos = 0; pos < text.size();) AppendUpper(NextCodePoint(text, &pos), &out);
  return out;
}

std::string ToLower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t pos = 0; pos < text.size();) {
    const size_t begin = pos;
    const char32_t c = NextCodePoint(text, &pos);
    AppendLower(text, begin, pos, c, &out);
  }
  return out;
}

std::string ToTitle(std::string_view text) {
  std::string out;
  bool previous_cased = false;
  for (size_t pos = 0; pos < text.size();) {
    const size_t begin = pos;
    const char32_t c = NextCodePoint(text, &pos);
    if (previous_cased) {
      AppendLower(text, begin, pos, c, &out);
    } else {
      AppendTitle(c, &out);
    }
    previous_cased = IsCased(c);
  }
  return out;
}

std::string ToCapitalized(std::string_view text) {
  std::string out;
  for (size_t pos = 0; pos < text.size();) {
    const size_t begin = pos;
    const char32_t c = NextCodePoint(text, &pos);
    if (begin == 0) {
      AppendTitle(c, &out);
    } else {
      AppendLower(text, begin, pos, c, &out);
    }
  }
  return out;
}

std::string SwapCase(std::string_view text) {
  std::string out;
  for (size_t pos = 0; pos < text.size();) {
    const size_t begin = pos;
    const char32_t c = NextCodePoint(text, &pos);
    if (IsUpper(c)) {
      AppendLower(text, begin, pos, c, &out);
    } else if (IsLower(c)) {
      AppendUpper(c, &out);
    } else {
      AppendUtf8(c, &out);
    }
  }
  return out;
}

std::string CaseFold(std::string_view text) {
  std::string out;
  for (size_t pos = 0; pos < text.size();) {
    utf8proc_int32_t folded[8];
    int last_boundclass = 0;
    const auto c = static_cast<utf8proc_int32_t>(NextCodePoint(text, &pos));
    const auto count = utf8proc_decompose_char(c, folded, 8, UTF8PROC_CASEFOLD, &last_boundclass);
    for (utf8proc_ssize_t i = 0; i < count; ++i) AppendUtf8(static_cast<char32_t>(folded[i]), &out);
  }
  return out;
}

std::string_view StripSpace(std::string_view text, bool left, bool right) {
  return StripWhere(text, left, right, IsSpace);
}

std::string_view StripChars(std::string_view text, std::string_view chars, bool left, bool right) {
  return StripWhere(text, left, right, [chars](char32_t c) {
    for (size_t pos = 0; pos < chars.size();) {
      if (NextCodePoint(chars, &pos) == c) return true;
    }
    return false;
  });
}

std::vector<std::string_view> SplitLines(std::string_view text, bool keep_ends, size_t most) {
  std::vector<std::string_view> lines;
  size_t begin = 0;
  for (size_t pos = 0; pos < text.size();) {
    const size_t end = pos;
    const char32_t c = NextCodePoint(text, &pos);
    if (!IsLineBreak(c)) continue;
    if (c == '\r' && pos < text.size() && text[pos] == '\n') ++pos;
    lines.push_back(text.substr(begin, (keep_ends ? pos : end) - begin));
    begin = pos;
    if (lines.size() > most) return lines;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

}  // namespace vallm::tokenizer
