// Which KV cache blocks are free. Ids only; the memory they stand for is the workers'.
//
// Pure; not thread-safe. Owned by the scheduler.
#ifndef VALLM_ENGINE_SERVICE_SCHEDULER_KV_BLOCK_POOL_H_
#define VALLM_ENGINE_SERVICE_SCHEDULER_KV_BLOCK_POOL_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace vallm::engine {

class KvBlockPool {
 public:
  // Blocks 0 .. num_blocks - 1, all free. REQUIRES: num_blocks >= 0.
  explicit KvBlockPool(int32_t num_blocks);

  // `count` blocks, now the caller's, or nothing when fewer are free. The block freed last comes
  // out first: its memory is the likeliest to be in a cache.
  std::optional<std::vector<int32_t>> Allocate(int32_t count);
  // Gives blocks back. REQUIRES (CHECKed): each was allocated and not freed since.
  void Free(std::span<const int32_t> blocks);

  int32_t num_blocks() const { return static_cast<int32_t>(used_.size()); }
  int32_t num_free() const { return static_cast<int32_t>(free_.size()); }

 private:
  std::vector<int32_t> free_;  // a stack
  std::vector<bool> used_;     // [num_blocks]
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_SCHEDULER_KV_BLOCK_POOL_H_
