#include "engine_service/scheduler/kv_block_pool.h"

#include <glog/logging.h>

namespace vallm::engine {

KvBlockPool::KvBlockPool(int32_t num_blocks) {
  CHECK_GE(num_blocks, 0);
  used_.resize(static_cast<size_t>(num_blocks), false);
  free_.reserve(used_.size());
  for (int32_t block = num_blocks - 1; block >= 0; --block) free_.push_back(block);
}

std::optional<std::vector<int32_t>> KvBlockPool::Allocate(int32_t count) {
  CHECK_GE(count, 0);
  if (count > num_free()) return std::nullopt;
  std::vector<int32_t> blocks(free_.rbegin(), free_.rbegin() + count);
  free_.resize(free_.size() - static_cast<size_t>(count));
  for (const int32_t block : blocks) used_[static_cast<size_t>(block)] = true;
  return blocks;
}

void KvBlockPool::Free(std::span<const int32_t> blocks) {
  // Last first, so that the next Allocate hands them out in the same order.
  for (auto block = blocks.rbegin(); block != blocks.rend(); ++block) {
    CHECK(*block >= 0 && *block < num_blocks()) << "block " << *block << " is not in the pool";
    CHECK(used_[static_cast<size_t>(*block)]) << "block " << *block << " is free already";
    used_[static_cast<size_t>(*block)] = false;
    free_.push_back(*block);
  }
}

}  // namespace vallm::engine
