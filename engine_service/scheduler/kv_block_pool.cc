#include "engine_service/scheduler/kv_block_pool.h"

#include <glog/logging.h>

namespace vallm::engine {

KvBlockPool::KvBlockPool(int32_t num_blocks) {
  CHECK_GE(num_blocks, 0);
  blocks_.resize(static_cast<size_t>(num_blocks));
  free_.reserve(blocks_.size());
  for (int32_t block = num_blocks - 1; block >= 0; --block) free_.push_back(block);
}

const KvBlockPool::Block& KvBlockPool::At(int32_t block) const {
  CHECK(block >= 0 && block < num_blocks()) << "block " << block << " is not in the pool";
  return blocks_[static_cast<size_t>(block)];
}

KvBlockPool::Block& KvBlockPool::At(int32_t block) {
  return const_cast<Block&>(static_cast<const KvBlockPool*>(this)->At(block));
}

void KvBlockPool::LinkIdle(int32_t block) {
  Block& own = At(block);
  own.older = newest_idle_;
  own.newer = kNone;
  if (newest_idle_ != kNone) At(newest_idle_).newer = block;
  newest_idle_ = block;
  if (oldest_idle_ == kNone) oldest_idle_ = block;
  ++num_idle_;
}

void KvBlockPool::UnlinkIdle(int32_t block) {
  Block& own = At(block);
  (own.older == kNone ? oldest_idle_ : At(own.older).newer) = own.newer;
  (own.newer == kNone ? newest_idle_ : At(own.newer).older) = own.older;
  own.older = own.newer = kNone;
  --num_idle_;
}

std::optional<KvBlockPool::Allocation> KvBlockPool::Allocate() {
  Allocation taken{.block = kNone, .was_kept = false};
  if (!free_.empty()) {
    taken.block = free_.back();
    free_.pop_back();
  } else if (oldest_idle_ != kNone) {
    taken = {.block = oldest_idle_, .was_kept = true};
    UnlinkIdle(taken.block);
  } else {
    return std::nullopt;
  }
  At(taken.block).references = 1;
  At(taken.block).kept = false;
  return taken;
}

void KvBlockPool::AddReference(int32_t block) {
  Block& own = At(block);
  CHECK(own.references > 0 || own.kept) << "block " << block << " is free";
  if (own.references == 0) UnlinkIdle(block);
  ++own.references;
}

void KvBlockPool::Release(int32_t block) {
  Block& own = At(block);
  CHECK_GT(own.references, 0) << "block " << block << " is not in use";
  if (--own.references > 0) return;
  if (own.kept) {
    LinkIdle(block);
  } else {
    free_.push_back(block);
  }
}

void KvBlockPool::SetKept(int32_t block, bool kept) {
  Block& own = At(block);
  CHECK(own.references > 0 || own.kept) << "block " << block << " is free";
  if (own.references == 0 && !kept) {
    UnlinkIdle(block);
    free_.push_back(block);
  }
  own.kept = kept;
}

}  // namespace vallm::engine
