// Tokens by their bytes, to find the longest one at a place in a text: a trie stored as a double
// array (a step is one load and one comparison), with the first character's steps taken at once.
#ifndef VALLM_TOKENIZER_SERVICE_BPE_TOKEN_TRIE_H_
#define VALLM_TOKENIZER_SERVICE_BPE_TOKEN_TRIE_H_

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tokenizer_service/bpe/huge_page_allocator.h"

namespace vallm::tokenizer {

// Immutable, thread-safe.
class TokenTrie {
 public:
  static constexpr uint32_t kNoToken = (1u << 22) - 1;

  // Collects the tokens. A node stands for a string; node 0 is the empty one.
  class Builder {
   public:
    // `tokens`: about how many will come.
    explicit Builder(size_t tokens) : nodes_(1), first_children_(256, 0) {
      nodes_.reserve(tokens * 5 / 2);
    }
    // The node of the string of `node` followed by `bytes`.
    uint32_t Extend(uint32_t node, std::string_view bytes);
    // REQUIRES: token < kNoToken; `node` is not 0.
    void SetToken(uint32_t node, uint32_t token) { nodes_[node].token = token; }
    // The longest token that is a proper prefix of the string of `node`, or kNoToken.
    uint32_t LongestPrefix(uint32_t node) const;

   private:
    friend class TokenTrie;
    struct Node {
      uint32_t child = 0;    // the first one; 0: none
      uint32_t sibling = 0;  // the next child of the same parent; 0: none
      uint32_t parent = 0;
      uint32_t token = kNoToken;
      uint8_t label = 0;
    };
    std::vector<Node, HugePageAllocator<Node>> nodes_;
    std::vector<uint32_t> first_children_;  // the root's, by label; 0: none
  };

  explicit TokenTrie(const Builder& builder);

  struct Match {
    uint32_t token;
    uint32_t length;  // bytes
  };

  // The longest token at `begin`. REQUIRES: begin < end; every single byte is a token; a character
  // that begins at `begin` is whole.
  Match Longest(const char* begin, const char* end) const {
    const auto* text = reinterpret_cast<const uint8_t*>(begin);
    const auto* const text_end = reinterpret_cast<const uint8_t*>(end);
    const Jump& jump = JumpFrom(&text, text_end);
    uint64_t best = jump.token;
    const auto* best_end = reinterpret_cast<const uint8_t*>(begin) + jump.length;
    for (uint32_t base = jump.base; text < text_end;) {
      const uint64_t unit = units_[base ^ *text];
      if ((unit & kLabelMask) != (*text | kUsed)) break;
      ++text;
      base = BaseOf(unit);
      if (TokenOf(unit) == kNoToken) continue;
      best = TokenOf(unit);
      best_end = text;
    }
    return {static_cast<uint32_t>(best),
            static_cast<uint32_t>(best_end - reinterpret_cast<const uint8_t*>(begin))};
  }

 private:
  // A unit, from its lowest bit: label (8), used (1), token (22), base (32; 0: no children). The
  // child with the label l of a unit with the base b is units_[b ^ l]. No two units have one base,
  // so that a label that matches is proof.
  static constexpr uint64_t kUsed = 0x100;
  static constexpr uint64_t kLabelMask = 0x1FF;
  static uint32_t TokenOf(uint64_t unit) { return unit >> 9 & kNoToken; }
  static uint32_t BaseOf(uint64_t unit) { return static_cast<uint32_t>(unit >> 32); }

  // Where the first steps lead: the base to go on from (0, which has no children, if there is none)
  // and the longest token on the way.
  struct Jump {
    uint32_t base;
    uint32_t token : 24;
    uint32_t length : 8;  // of the token, in bytes
  };

  // The jump over what stands at *text, which is moved behind it.
  const Jump& JumpFrom(const uint8_t** text, const uint8_t* end) const {
    const uint8_t* const t = *text;
    if (end - t >= 2) {
      if ((t[0] | t[1]) < 0x80) {
        *text += 2;
        return ascii_jumps_[t[0] * 128u + t[1]];
      }
      if (t[0] >= 0xE0 && t[0] < 0xF0 && end - t >= 3) {
        *text += 3;
        return character_jumps_[(t[0] & 0x0Fu) << 12 | (t[1] & 0x3Fu) << 6 | (t[2] & 0x3Fu)];
      }
      if (t[0] >= 0xC0 && t[0] < 0xE0) {
        *text += 2;
        return character_jumps_[(t[0] & 0x1Fu) << 6 | (t[1] & 0x3Fu)];
      }
    }
    *text += 1;
    return byte_jumps_[t[0]];
  }

  void Place(const Builder& builder);
  Jump Walk(std::string_view bytes) const;
  void FillJumps();

  std::vector<uint64_t, HugePageAllocator<uint64_t>> units_;
  std::vector<Jump> byte_jumps_;       // [256]
  std::vector<Jump> ascii_jumps_;      // [128 * 128] two ASCII bytes
  std::vector<Jump> character_jumps_;  // [65536] a character of two or three bytes
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_BPE_TOKEN_TRIE_H_
