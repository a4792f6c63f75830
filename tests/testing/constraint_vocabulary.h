// Small vocabularies for tests of constrained decoding.
#ifndef VALLM_TESTS_TESTING_CONSTRAINT_VOCABULARY_H_
#define VALLM_TESTS_TESTING_CONSTRAINT_VOCABULARY_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine_service/constraint/token_trie.h"

namespace vallm::engine {

// Ids 0 to 255: the single bytes. 256: "<|im_end|>", which ends answers. 257, 258: <tool_call> and
// </tool_call>. 259, 260: <think> and </think>. From 261 on: `words`.
inline constexpr int32_t kEosId = 256;
inline constexpr int32_t kThinkId = 259;
inline constexpr int32_t kThinkEndId = 260;
inline constexpr int32_t kFirstWordId = 261;

inline std::shared_ptr<const ConstraintVocabulary> MakeVocabulary(
    const std::vector<std::string>& words) {
  std::vector<ConstraintVocabulary::Token> tokens;
  for (int b = 0; b < 256; ++b) tokens.push_back({.bytes = std::string(1, static_cast<char>(b))});
  for (const char* added : {"<|im_end|>", "<tool_call>", "</tool_call>", "<think>", "</think>"}) {
    tokens.push_back({.bytes = added, .added = true});
  }
  for (const std::string& word : words) tokens.push_back({.bytes = word});
  const int size = static_cast<int>(tokens.size()) + 5;  // rows of padding
  return std::make_shared<const ConstraintVocabulary>(std::move(tokens), size,
                                                      std::vector<int32_t>{kEosId});
}

}  // namespace vallm::engine

#endif  // VALLM_TESTS_TESTING_CONSTRAINT_VOCABULARY_H_
