#include "tokenizer_service/template/text_wrap.h"

#include <algorithm>
#include <deque>

#include "tokenizer_service/template/unicode.h"

namespace vallm::tokenizer {
namespace {

bool IsGap(char c) { return std::string_view("\t\n\v\f\r ").find(c) != std::string_view::npos; }

bool IsLetter(std::string_view text, size_t pos) {
  return pos < text.size() && IsAlpha(NextCodePoint(text, &pos));
}

bool LetterBefore(std::string_view text, size_t pos) {
  return pos > 0 && IsAlpha(PreviousCodePoint(text, &pos));
}

// The length of `text` in code points if that is at most `limit`, else more than `limit`: what is
// left of a long word is not counted again for every line.
int64_t LengthUpTo(std::string_view text, int64_t limit) {
  const size_t most = static_cast<size_t>(std::min<int64_t>(limit, 1 << 28)) * 4 + 4;
  return CountCodePoints(text.substr(0, std::min(text.size(), most)));
}

// Words, and the gaps between them; a hyphen between letters ends a chunk.
std::deque<std::string_view> Chunks(std::string_view line, bool break_on_hyphens) {
  std::deque<std::string_view> chunks;
  size_t begin = 0;
  for (size_t pos = 0; pos < line.size(); ++pos) {
    const bool border = pos > begin && IsGap(line[pos]) != IsGap(line[pos - 1]);
    const bool hyphen = break_on_hyphens && pos > begin + 1 && line[pos - 1] == '-' &&
                        LetterBefore(line, pos - 1) && IsLetter(line, pos);
    if (!border && !hyphen) continue;
    chunks.emplace_back(line.substr(begin, pos - begin));
    begin = pos;
  }
  if (begin < line.size()) chunks.emplace_back(line.substr(begin));
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
