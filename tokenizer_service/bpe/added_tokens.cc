#include "tokenizer_service/bpe/added_tokens.h"

#include <algorithm>
#include <utility>

#include "tokenizer_service/bpe/unicode_table.h"
#include "tokenizer_service/bpe/utf8.h"

namespace vallm::tokenizer {
namespace {

uint8_t FirstByte(const AddedToken& token) { return static_cast<uint8_t>(token.content[0]); }

// The offset where the character that ends at `end` begins. REQUIRES: 0 < end, valid UTF-8.
size_t PreviousCharacter(std::string_view text, size_t end) {
  do {
    --end;
  } while ((static_cast<uint8_t>(text[end]) & 0xC0) == 0x80);
  return end;
}

bool IsWhitespace(char32_t codepoint) {
  const CharClass cls = UnicodeTable::Get().ClassOf(codepoint);
  return cls == CharClass::kSpace || cls == CharClass::kNewline;
}

// Where the white space that ends at `end` begins, not before `limit`.
size_t WhitespaceBegin(std::string_view text, size_t end, size_t limit) {
  while (end > limit) {
    const size_t begin = PreviousCharacter(text, end);
    if (!IsWhitespace(DecodeUtf8(text.substr(begin)).codepoint)) break;
    end = begin;
  }
  return end;
}

size_t WhitespaceEnd(std::string_view text, size_t begin) {
  while (begin < text.size()) {
    const Utf8Step step = DecodeUtf8(text.substr(begin));
    if (!IsWhitespace(step.codepoint)) break;
    begin += step.length;
  }
  return begin;
}

bool StandsAlone(std::string_view text, size_t begin, size_t end) {
  if (begin > 0 &&
      IsWordCharacter(DecodeUtf8(text.substr(PreviousCharacter(text, begin))).codepoint)) {
    return false;
  }
  return end == text.size() || !IsWordCharacter(DecodeUtf8(text.substr(end)).codepoint);
}

}  // namespace

AddedTokenMatcher::AddedTokenMatcher(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::stable_sort(tokens_.begin(), tokens_.end(), [](const AddedToken& a, const AddedToken& b) {
    if (FirstByte(a) != FirstByte(b)) return FirstByte(a) < FirstByte(b);
    return a.content.size() > b.content.size();
  });
  ranges_.fill({0, 0});
  for (uint32_t i = 0; i < tokens_.size(); ++i) {
    auto& [begin, end] = ranges_[FirstByte(tokens_[i])];
    if (begin == end) begin = i;
    end = i + 1;
  }
  if (!tokens_.empty() && FirstByte(tokens_.front()) == FirstByte(tokens_.back())) {
    only_first_byte_ = FirstByte(tokens_.front());
  }
}

size_t AddedTokenMatcher::NextCandidate(std::string_view text, size_t from) const {
  if (only_first_byte_ >= 0) {
    return std::min(text.find(static_cast<char>(only_first_byte_), from), text.size());
  }
  while (from < text.size()) {
    const auto& [begin, end] = ranges_[static_cast<uint8_t>(text[from])];
    if (begin != end) break;
    ++from;
  }
  return from;
}

const AddedToken* AddedTokenMatcher::LongestAt(std::string_view text, size_t offset) const {
  const std::string_view rest = text.substr(offset);
  const auto& [begin, end] = ranges_[static_cast<uint8_t>(rest[0])];
  for (uint32_t i = begin; i < end; ++i) {
    if (rest.starts_with(tokens_[i].content)) return &tokens_[i];
  }
  return nullptr;
}

std::optional<AddedTokenMatcher::Match> AddedTokenMatcher::Find(std::string_view text, size_t from,
                                                                size_t strip_limit) const {
  if (tokens_.empty()) return std::nullopt;
  size_t offset = NextCandidate(text, from);
  while (offset < text.size()) {
    const AddedToken* token = LongestAt(text, offset);
    if (token == nullptr) {
      offset = NextCandidate(text, offset + 1);
      continue;
    }
    const size_t end = offset + token->content.size();
    if (token->single_word && !StandsAlone(text, offset, end)) {
      offset = NextCandidate(text, end);
      continue;
    }
    return Match{token->lstrip ? WhitespaceBegin(text, offset, strip_limit) : offset,
                 token->rstrip ? WhitespaceEnd(text, end) : end, end, token->id};
  }
  return std::nullopt;
}

}  // namespace vallm::tokenizer
