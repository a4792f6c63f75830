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

// Words, and the gaps between them; a hyphen between letters ends a chunk.
std::deque<std::string> Chunks(std::string_view line, bool break_on_hyphens) {
  std::deque<std::string> chunks;
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

bool IsBlank(const std::string& chunk) { return std::all_of(chunk.begin(), chunk.end(), IsGap); }

}  // namespace

std::vector<std::string> WrapLine(std::string_view line, const WrapOptions& options) {
  std::vector<std::string> lines;
  std::deque<std::string> chunks = Chunks(line, options.break_on_hyphens);
  while (!chunks.empty()) {
    std::vector<std::string> current;
    int64_t length = 0;
    if (!lines.empty() && IsBlank(chunks.front())) chunks.pop_front();
    while (!chunks.empty()) {
      const int64_t size = CountCodePoints(chunks.front());
      if (length + size > options.width) break;
      length += size;
      current.push_back(std::move(chunks.front()));
      chunks.pop_front();
    }
    if (!chunks.empty() && CountCodePoints(chunks.front()) > options.width) {
      std::string& word = chunks.front();
      if (options.break_long_words) {
        const size_t cut = ByteOffset(word, options.width - length);
        current.push_back(word.substr(0, cut));
        word.erase(0, cut);
      } else if (current.empty()) {
        current.push_back(std::move(word));
        chunks.pop_front();
      }
    }
    if (!current.empty() && IsBlank(current.back())) current.pop_back();
    std::string text;
    for (const std::string& chunk : current) text += chunk;
    if (!current.empty()) lines.push_back(std::move(text));
  }
  return lines;
}

}  // namespace vallm::tokenizer
