// Which prompt prefixes an instance should have in its prefix cache: those it was sent, as far as
// they fit. An approximation: the instance forgets in an order of its own, and other clients use
// it as well. Not thread-safe.
#ifndef VALLM_GATEWAY_ROUTING_PREFIX_RECORD_H_
#define VALLM_GATEWAY_ROUTING_PREFIX_RECORD_H_

#include <cstdint>

#include "gateway/routing/lru_map.h"
#include "gateway/routing/prompt_blocks.h"

namespace vallm::gateway {

class PrefixRecord {
 public:
  // `capacity_blocks`: those the instance can hold, and a bound on the record's size.
  explicit PrefixRecord(int64_t capacity_blocks);
  void SetCapacity(int64_t capacity_blocks);

  // The prompt was sent there. What was used longest ago is forgotten, the ends of prompts first.
  void Add(const PromptBlocks& prompt);
  // How many tokens from the prompt's beginning should be there.
  int64_t MatchedTokens(const PromptBlocks& prompt) const;
  // The instance's cache is empty.
  void Clear() { blocks_.Clear(); }

  int64_t block_count() const { return static_cast<int64_t>(blocks_.size()); }

 private:
  struct Nothing {};
  LruMap<uint64_t, Nothing> blocks_;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTING_PREFIX_RECORD_H_
