#include "tokenizer_service/bpe/nfc.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "tokenizer_service/bpe/unicode_table.h"
#include "tokenizer_service/bpe/utf8.h"

namespace vallm::tokenizer {
namespace {

// A stretch that must be normalised: it begins at the last inert character before an active one (or
// at the beginning) and ends before the next inert one.
struct Stretch {
  size_t begin;
  size_t end;
};

// The first stretch at or after `from`, which must be a place where text may be cut. An empty
// stretch at the end if there is none.
Stretch NextStretch(std::string_view text, size_t from, const UnicodeTable& table) {
  size_t last_inert = from;
  size_t offset = from;
  bool active = false;
  while (offset < text.size()) {
    if (static_cast<unsigned char>(text[offset]) < 0x80) {
      if (active) return {last_inert, offset};
      offset += AsciiPrefix(text.substr(offset));
      last_inert = offset - 1;
      continue;
    }
    const Utf8Step step = DecodeUtf8(text.substr(offset));
    if (!table.IsNfcInert(step.codepoint)) {
      active = true;
    } else if (active) {
      return {last_inert, offset};
    } else {
      last_inert = offset;
    }
    offset += step.length;
  }
  return {active ? last_inert : text.size(), text.size()};
}

int CombiningClass(utf8proc_int32_t codepoint) {
  return utf8proc_get_property(codepoint)->combining_class;
}

// Puts every run of combining marks in canonical order. utf8proc's own ordering is quadratic in the
// length of a run, which is a request's to choose.
void OrderMarks(std::vector<utf8proc_int32_t>* codepoints) {
  auto begin = codepoints->begin();
  while (begin != codepoints->end()) {
    if (CombiningClass(*begin) == 0) {
      ++begin;
      continue;
    }
    const auto end = std::find_if(begin, codepoints->end(),
                                  [](auto codepoint) { return CombiningClass(codepoint) == 0; });
    std::stable_sort(begin, end,
                     [](auto a, auto b) { return CombiningClass(a) < CombiningClass(b); });
    begin = end;
  }
}

void AppendNfc(std::string_view text, std::string* out) {
  std::vector<utf8proc_int32_t> codepoints;
  utf8proc_int32_t parts[32];
  for (size_t offset = 0; offset < text.size();) {
    const Utf8Step step = DecodeUtf8(text.substr(offset));
    int last_boundclass = 0;
    const utf8proc_ssize_t count = utf8proc_decompose_char(
        static_cast<utf8proc_int32_t>(step.codepoint), parts, std::size(parts),
        static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE), &last_boundclass);
    codepoints.insert(codepoints.end(), parts, parts + count);
    offset += step.length;
  }
  OrderMarks(&codepoints);
  const utf8proc_ssize_t length =
      utf8proc_normalize_utf32(codepoints.data(), static_cast<utf8proc_ssize_t>(codepoints.size()),
                               static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
  for (utf8proc_ssize_t i = 0; i < length; ++i) {
    AppendUtf8(static_cast<char32_t>(codepoints[static_cast<size_t>(i)]), out);
  }
}

}  // namespace

std::string_view ToNfc(std::string_view text, std::string* storage) {
  const UnicodeTable& table = UnicodeTable::Get();
  Stretch stretch = NextStretch(text, 0, table);
  if (stretch.begin == text.size()) return text;
  storage->clear();
  storage->reserve(text.size() + text.size() / 8);
  size_t copied = 0;
  while (stretch.begin < text.size()) {
    storage->append(text.substr(copied, stretch.begin - copied));
    AppendNfc(text.substr(stretch.begin, stretch.end - stretch.begin), storage);
    copied = stretch.end;
    stretch = NextStretch(text, copied, table);
  }
  storage->append(text.substr(copied));
  return *storage;
}

}  // namespace vallm::tokenizer
