#include "tokenizer_service/template/text_wrap.h"

#include <algorithm>
#include <deque>

#include "tokenizer_service/template/unicode.h"

namespace vallm::tokenizer {
namespace {

bool IsGap(char c) { return std::string_view("\t\n\v\f\r ").find(c) != std::string_view::npos; }

// A character that words are made of, but no digit.
bool IsLetter(char32_t c) { return IsWord(c) && !IsDecimal(c); }

// The code point before `*pos`, which moves over it; 0 at the beginning.
char32_t StepBack(std::string_view text, size_t* pos) {
  return *pos == 0 ? 0 : PreviousCodePoint(text, pos);
}
char32_t StepOn(std::string_view text, size_t* pos) {
  return *pos >= text.size() ? 0 : NextCodePoint(text, pos);
}

// Whether a word may be broken at `pos`, behind a hyphen: two letters before it (or two with a
// hyphen between them), and as many behind.
bool IsHyphenBreak(std::string_view line, size_t pos) {
  size_t before = pos - 1;
  if (line[before] != '-' || !IsLetter(StepBack(line, &before))) return false;
  char32_t second = StepBack(line, &before);
  if (second == '-') second = StepBack(line, &before);
  size_t behind = pos;
  if (!IsLetter(second) || !IsLetter(StepOn(line, &behind))) return false;
  char32_t next = StepOn(line, &behind);
  if (next == '-') next = StepOn(line, &behind);
  return IsLetter(next);
}

// The end of the dash of two or more hyphens between words at `pos`; 0 if none is there.
size_t DashEnd(std::string_view line, size_t pos) {
  const size_t end = std::min(line.find_first_not_of('-', pos), line.size());
  if (end < pos + 2 || pos == 0 || line[pos - 1] == '-') return 0;
  size_t before = pos;
  size_t behind = end;
  const char32_t last = PreviousCodePoint(line, &before);
  const bool word =
      IsWord(last) || (last < 0x80 && std::string_view("!\"'&.,?").find(static_cast<char>(last)) !=
                                          std::string_view::npos);
  return word && IsWord(StepOn(line, &behind)) ? end : 0;
}

// The length of `text` in code points if that is at most `limit`, else more than `limit`: what is
// left of a long word is not counted again for every line.
int64_t LengthUpTo(std::string_view text, int64_t limit) {
  const size_t most = static_cast<size_t>(std::min<int64_t>(limit, 1 << 28)) * 4 + 4;
  return CountCodePoints(text.substr(0, std::min(text.size(), most)));
}

// Words, and the gaps between them, as Python's textwrap cuts them: with `break_on_hyphens` a
// hyphen between letters ends a chunk, and a dash is one.
std::deque<std::string_view> Chunks(std::string_view line, bool break_on_hyphens) {
  std::deque<std::string_view> chunks;
  size_t begin = 0;
  const auto cut = [&](size_t end) {
    chunks.emplace_back(line.substr(begin, end - begin));
    begin = end;
  };
  for (size_t pos = 1; pos < line.size(); ++pos) {
    if (pos <= begin) continue;
    if (IsGap(line[pos]) != IsGap(line[pos - 1])) {
      cut(pos);
    } else if (break_on_hyphens && line[pos] == '-') {
      const size_t end = DashEnd(line, pos);
      if (end == 0) continue;
      cut(pos);
      cut(end);
    } else if (break_on_hyphens && pos > begin + 1 && IsHyphenBreak(line, pos)) {
      cut(pos);
    }
  }
  if (begin < line.size()) cut(line.size());
  return chunks;
}

// Where a word that is too long for a line breaks: behind the last hyphen that fits and is not a
// leading one, or where the line is full.
size_t CutOf(std::string_view word, int64_t room, bool break_on_hyphens) {
  const size_t full = ByteOffset(word, room);
  if (!break_on_hyphens || full == 0) return full;
  const size_t hyphen = word.substr(0, full).rfind('-');
  if (hyphen == std::string_view::npos) return full;
  return word.find_first_not_of('-') < hyphen ? hyphen + 1 : full;
}

bool IsBlank(std::string_view chunk) { return std::all_of(chunk.begin(), chunk.end(), IsGap); }

}  // namespace

std::vector<std::string> WrapLine(std::string_view line, const WrapOptions& options) {
  std::vector<std::string> lines;
  std::deque<std::string_view> chunks = Chunks(line, options.break_on_hyphens);
  while (!chunks.empty()) {
    std::vector<std::string_view> current;
    int64_t length = 0;
    if (!lines.empty() && IsBlank(chunks.front())) chunks.pop_front();
    while (!chunks.empty()) {
      const int64_t size = LengthUpTo(chunks.front(), options.width);
      if (length + size > options.width) break;
      length += size;
      current.push_back(chunks.front());
      chunks.pop_front();
    }
    if (!chunks.empty() && LengthUpTo(chunks.front(), options.width) > options.width) {
      std::string_view& word = chunks.front();
      if (options.break_long_words) {
        const size_t cut = CutOf(word, options.width - length, options.break_on_hyphens);
        current.push_back(word.substr(0, cut));
        word.remove_prefix(cut);
      } else if (current.empty()) {
        current.push_back(std::move(word));
        chunks.pop_front();
      }
    }
    if (!current.empty() && IsBlank(current.back())) current.pop_back();
    std::string text;
    for (const std::string_view chunk : current) text += chunk;
    if (!current.empty()) lines.push_back(std::move(text));
  }
  return lines;
}

}  // namespace vallm::tokenizer
