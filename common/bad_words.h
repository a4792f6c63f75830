// Which token sequences forbid a word, as vLLM decides it: a word is spelt one way at the start of
// a text and another way after a space.
//
// Callers encode `TrimmedBadWord(word)` and " " + that, without special tokens, and pass the ids of
// both. Pure, thread-safe.
#ifndef VALLM_COMMON_BAD_WORDS_H_
#define VALLM_COMMON_BAD_WORDS_H_

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace vallm {

inline std::string_view TrimmedBadWord(std::string_view word) {
  const size_t start = word.find_first_not_of(" \t\r\n\f\v");
  return start == std::string_view::npos ? std::string_view() : word.substr(start);
}

// Appends one or two sequences to `sequences`: the bare spelling, and the one after a space where
// it is a word token of its own rather than a space before the bare one. REQUIRES: neither is
// empty.
inline void AppendBadWord(std::vector<int32_t> bare, std::vector<int32_t> spaced,
                          std::vector<std::vector<int32_t>>& sequences) {
  const bool distinct = spaced.front() != bare.front() && spaced.size() == bare.size();
  sequences.push_back(std::move(bare));
  if (distinct) sequences.push_back(std::move(spaced));
}

}  // namespace vallm

#endif  // VALLM_COMMON_BAD_WORDS_H_
