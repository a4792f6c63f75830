// Who holds which KV blocks: gives sequences their block tables and lets them share what is equal.
//
// Blocks are shared without copying: keys and values are a pure function of the tokens up to their
// position (DESIGN's numerics promise it to the bit), so two sequences with the same tokens may
// read the same block, and one that has just computed a block which is known already gives its own
// back and takes that one. Only full blocks whose tokens are all computed are ever shared; nobody
// writes to them again. What a sequence leaves behind stays known until its memory is needed: the
// block unused longest goes first, and as a sequence gives its table back from the end, no block
// goes before those that follow it.
//
// Pure; not thread-safe. Owned by the scheduler.
#ifndef VALLM_ENGINE_SERVICE_SCHEDULER_KV_MANAGER_H_
#define VALLM_ENGINE_SERVICE_SCHEDULER_KV_MANAGER_H_

#include <cstdint>
#include <vector>

#include "engine_service/scheduler/kv_block_pool.h"
#include "engine_service/scheduler/prefix_cache.h"
#include "engine_service/scheduler/sequence.h"

namespace vallm::engine {

class KvManager {
 public:
  // REQUIRES: num_blocks >= 0, block_size >= 1. Without `prefix_caching` nothing is shared.
  KvManager(int32_t num_blocks, int32_t block_size, bool prefix_caching);

  // Blocks that so many positions take.
  int32_t BlocksFor(int64_t positions) const {
    return static_cast<int32_t>((positions + block_size_ - 1) / block_size_);
  }

  // Moves the sequence's computed_count on over blocks that are known, at most to its last token
  // but one: the last one has to run, for its logits. Cost: a look-up per block found, plus one.
  void SkipKnown(Sequence& sequence);

  // Makes the table cover the first `positions` positions. False, and nothing changed, when there
  // are too few blocks.
  bool Cover(Sequence& sequence, int64_t positions);

  // Lets others find the sequence's full blocks below computed_count. The table may change.
  void Share(Sequence& sequence);

  // Takes the table away; nothing of the sequence is computed any more.
  void Release(Sequence& sequence);

  // Forgets everything that is known. Tables stay as they are, but their blocks are not shared any
  // further. Returns the number of blocks forgotten.
  int32_t Reset();

  int32_t num_blocks() const { return pool_.num_blocks(); }
  // Free blocks and those that are kept only because their content is known.
  int32_t num_available() const { return pool_.num_available(); }
  // Of these, the latter.
  int32_t num_idle() const { return pool_.num_idle(); }
  const KvBlockPool& pool() const { return pool_; }

 private:
  std::vector<int32_t>& BlockTokens(const Sequence& sequence, int32_t index);

  const int32_t block_size_;
  const bool prefix_caching_;
  KvBlockPool pool_;
  PrefixCache cache_;
  int64_t generation_ = 0;          // of the cache; Reset starts another
  std::vector<int32_t> token_ids_;  // scratch
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_SCHEDULER_KV_MANAGER_H_
