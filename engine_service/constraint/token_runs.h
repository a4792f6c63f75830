// The tokens below a node of a trie, sorted by how many of their bytes stay within a set: a state
// that goes on the same way behind every byte of the set (`[a-z]+`, `\w{3,40}`) takes or refuses
// them by the level, without walking them.
//
// Knows no automaton. Immutable after construction.
#ifndef VALLM_ENGINE_SERVICE_CONSTRAINT_TOKEN_RUNS_H_
#define VALLM_ENGINE_SERVICE_CONSTRAINT_TOKEN_RUNS_H_

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "engine_service/constraint/allowed_tokens.h"
#include "engine_service/constraint/token_trie.h"

namespace vallm::engine {

class TokenRuns {
 public:
  // Levels that are told apart. Level 1 is the first byte below the node.
  static constexpr int kLevels = 16;
  using ByteSet = std::bitset<256>;
  using NodesByByte = std::map<uint8_t, std::vector<int32_t>>;

  // Of the nodes [begin, end) of `trie`: all those below one node, or all there are.
  TokenRuns(const TokenTrie& trie, int32_t begin, int32_t end, const ByteSet& set, int mask_size);

  // Adds the tokens of at most `levels` bytes, all of them in the set. REQUIRES: levels <= kLevels.
  void AddTokens(int levels, AllowedTokens* mask) const;

  // The nodes at `level` whose byte is the first that is not in the set.
  // REQUIRES: 1 <= level <= kLevels + 1.
  const NodesByByte& Exits(int level) const { return exits_[static_cast<size_t>(level)]; }
  // The nodes at level kLevels + 1 whose bytes are all in the set.
  const NodesByByte& deep() const { return deep_; }

  size_t memory_bytes() const { return memory_bytes_; }

 private:
  // From here on a mask is quicker to join in than tokens are to set.
  static constexpr size_t kWorthMask = 512;

  std::vector<int32_t> tokens_;                 // by level
  std::array<size_t, kLevels + 1> ends_{};      // [level] of its tokens in tokens_
  AllowedTokens mask_;                          // all of tokens_, if there are many
  std::array<NodesByByte, kLevels + 2> exits_;  // [level]
  NodesByByte deep_;
  size_t memory_bytes_ = 0;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_CONSTRAINT_TOKEN_RUNS_H_
