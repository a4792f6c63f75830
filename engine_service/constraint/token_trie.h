// The vocabulary as the constraint engine sees it: every ordinary token's bytes in tries that an
// automaton is walked over, and bit masks of the tokens that are plain text.
//
// Most tokens of a vocabulary consist of characters that may stand unescaped in a JSON string.
// Inside a string all of them are allowed, so these "text tokens" have precomputed masks by their
// number of characters and only the others are walked (the idea of llguidance's slices, here found
// from the automaton itself instead of from its regular expressions).
//
// Immutable after construction, thread-safe. Built once per model: about 0.1 s at 152k tokens.
#ifndef VALLM_ENGINE_SERVICE_CONSTRAINT_TOKEN_TRIE_H_
#define VALLM_ENGINE_SERVICE_CONSTRAINT_TOKEN_TRIE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine_service/constraint/allowed_tokens.h"
#include "tokenizer_service/bpe/tokenizer.h"

namespace vallm::engine {

// Tokens in the order of their bytes, as a trie in depth-first order: walking it is one pass over
// an array in which a branch that fails is skipped.
class TokenTrie {
 public:
  struct Node {
    uint8_t byte;
    uint16_t depth;  // 1 for a first byte
    int32_t token;   // that ends here, or -1
    int32_t skip;    // the index behind all of this node's descendants
  };
  // `tokens` need not be sorted; of tokens with the same bytes only the first counts.
  void Build(const std::vector<int32_t>& tokens, const std::vector<std::string>& bytes);
  const std::vector<Node>& nodes() const { return nodes_; }
  int max_depth() const { return max_depth_; }

 private:
  std::vector<Node> nodes_;
  int max_depth_ = 0;
};

class ConstraintVocabulary {
 public:
  struct Token {
    std::string bytes;
    // Added tokens ("<|im_start|>", "<tool_call>") are never text; a grammar names them.
    bool added = false;
  };

  // Text tokens of up to this many characters have masks by length.
  static constexpr int kMaxTextChars = 16;

  // `tokens` by id; those without bytes never occur. `mask_size` >= tokens.size() is the number of
  // rows of the embedding. `eos_ids` end an answer.
  ConstraintVocabulary(std::vector<Token> tokens, int mask_size, std::vector<int32_t> eos_ids);
  static ConstraintVocabulary FromTokenizer(const tokenizer::Tokenizer& tokenizer, int mask_size,
                                            std::vector<int32_t> eos_ids);

  int mask_size() const { return mask_size_; }
  const std::vector<int32_t>& eos_ids() const { return eos_ids_; }
  bool IsEos(int32_t id) const;
  // The bytes of an ordinary token; empty for added tokens and ids out of range.
  std::string_view TextOf(int32_t id) const;
  // The id of the added token with this content.
  std::optional<int32_t> AddedToken(std::string_view content) const;

  // Text tokens of at most `chars` characters. REQUIRES: 1 <= chars <= kMaxTextChars.
  const AllowedTokens& TextMask(int chars) const { return text_masks_[chars - 1]; }
  const AllowedTokens& AllTextMask() const { return all_text_mask_; }
  // The three tries together hold every ordinary token once.
  const TokenTrie& text_trie() const { return text_trie_; }            // in TextMask(kMaxTextChars)
  const TokenTrie& long_text_trie() const { return long_text_trie_; }  // longer text tokens
  const TokenTrie& other_trie() const { return other_trie_; }
  // Pairs (token, token with the same bytes that is in a trie).
  const std::vector<std::pair<int32_t, int32_t>>& duplicates() const { return duplicates_; }

 private:
  std::vector<std::string> bytes_;  // [id], empty for added tokens
  std::map<std::string, int32_t, std::less<>> added_;
  int mask_size_;
  std::vector<int32_t> eos_ids_;
  std::vector<AllowedTokens> text_masks_;
  AllowedTokens all_text_mask_;
  TokenTrie text_trie_;
  TokenTrie long_text_trie_;
  TokenTrie other_trie_;
  std::vector<std::pair<int32_t, int32_t>> duplicates_;
};

// Whether `byte` may stand unescaped in a JSON string as a character of its own.
constexpr bool IsPlainStringByte(uint8_t byte) {
  return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_CONSTRAINT_TOKEN_TRIE_H_
