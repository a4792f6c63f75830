// Which KV block holds which tokens: finds the blocks of a prompt that were computed before.
//
// Keys and values at a position depend on all tokens before it, so a block is known by the whole
// prefix that it ends: by (what its parent block ends, its own tokens), a tree whose nodes are full
// blocks. Every prefix has a number, given once and never again; a key is the parent's number and
// the block's tokens, compared in full. Hashes only find the place in the table: a collision costs
// time and can never give a wrong block. The table's hash is seeded per process.
//
// A salt belongs to the key of a first block, and so to everything below it: requests with
// different salts share nothing, and cannot learn from their timing what the other has asked.
//
// Knows nothing of references: its owner says when a block's memory goes to something else, and
// must take a child away before its parent (or else the child could not be found, only wasted).
//
// Pure; not thread-safe. Owned by KvManager.
#ifndef VALLM_ENGINE_SERVICE_SCHEDULER_PREFIX_CACHE_H_
#define VALLM_ENGINE_SERVICE_SCHEDULER_PREFIX_CACHE_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"

namespace vallm::engine {

// Names the tokens of a block and of all blocks before it.
using PrefixId = int64_t;
inline constexpr PrefixId kEmptyPrefix = 0;

class PrefixCache {
 public:
  struct Entry {
    PrefixId prefix;
    int32_t block;
  };

  // For blocks 0 .. num_blocks - 1, none of them known.
  explicit PrefixCache(int32_t num_blocks);
  PrefixCache(const PrefixCache&) = delete;
  PrefixCache& operator=(const PrefixCache&) = delete;

  // The block that holds `token_ids` after `parent`. `salt` counts only where parent is
  // kEmptyPrefix.
  std::optional<Entry> Find(PrefixId parent, const std::string& salt,
                            std::span<const int32_t> token_ids) const;

  // From now on `block` holds `token_ids` after `parent`, which `parent_block` ends.
  // REQUIRES (CHECKed): Find would find nothing, the block is not known, parent_block is (it means
  // nothing where parent is kEmptyPrefix).
  PrefixId Insert(PrefixId parent, int32_t parent_block, const std::string& salt,
                  std::span<const int32_t> token_ids, int32_t block);

  // The block holds something else now. REQUIRES (CHECKed): it is known and has no known child.
  void Erase(int32_t block);

  // The known blocks, in no order; nothing is known any more.
  std::vector<int32_t> Clear();

  int32_t size() const { return static_cast<int32_t>(known_.size()); }

 private:
  struct Node {
    PrefixId prefix = kEmptyPrefix;  // kEmptyPrefix: not known
    PrefixId parent = kEmptyPrefix;
    int32_t parent_block = -1;
    int32_t child_count = 0;
    std::string salt;  // of first blocks only
    std::vector<int32_t> token_ids;
  };
  struct Key {
    PrefixId parent;
    const std::string* salt;
    std::span<const int32_t> token_ids;
  };
  // The table holds block ids; what they are equal by is in nodes_.
  struct KeyHash {
    using is_transparent = void;
    const std::vector<Node>* nodes;
    size_t operator()(const Key& key) const;
    size_t operator()(int32_t block) const;
  };
  struct KeyEqual {
    using is_transparent = void;
    const std::vector<Node>* nodes;
    bool operator()(const Key& a, const Key& b) const;
    bool operator()(const Key& a, int32_t b) const;
    bool operator()(int32_t a, const Key& b) const;
    bool operator()(int32_t a, int32_t b) const;
  };
  static Key KeyOf(const Node& node) { return {node.parent, &node.salt, node.token_ids}; }

  std::vector<Node> nodes_;  // [num_blocks]
  absl::flat_hash_set<int32_t, KeyHash, KeyEqual> known_;
  PrefixId next_prefix_ = kEmptyPrefix + 1;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_SCHEDULER_PREFIX_CACHE_H_
