#include "engine_service/scheduler/kv_manager.h"

#include <glog/logging.h>

#include <optional>

namespace vallm::engine {

KvManager::KvManager(int32_t num_blocks, int32_t block_size, bool prefix_caching)
    : block_size_(block_size),
      prefix_caching_(prefix_caching),
      pool_(num_blocks),
      cache_(num_blocks) {
  CHECK_GE(block_size, 1);
}

std::vector<int32_t>& KvManager::BlockTokens(const Sequence& sequence, int32_t index) {
  token_ids_.clear();
  for (int32_t i = 0; i < block_size_; ++i) {
    token_ids_.push_back(sequence.TokenAt(index * block_size_ + i));
  }
  return token_ids_;
}

void KvManager::SkipKnown(Sequence& sequence) {
  if (!prefix_caching_ || sequence.spec.computes_all) return;
  BlockTable& table = sequence.table;
  if (table.blocks.empty()) table.generation = generation_;
  if (table.generation != generation_) return;
  const int32_t limit = (sequence.token_count() - 1) / block_size_;
  while (table.known_count < limit) {
    const int32_t index = table.known_count;
    const std::optional<PrefixCache::Entry> found =
        cache_.Find(table.known_prefix, sequence.spec.cache_salt, BlockTokens(sequence, index));
    if (!found.has_value()) return;
    pool_.AddReference(found->block);
    if (static_cast<size_t>(index) < table.blocks.size()) {
      pool_.Release(table.blocks[static_cast<size_t>(index)]);
      table.blocks[static_cast<size_t>(index)] = found->block;
    } else {
      table.blocks.push_back(found->block);
    }
    table.known_prefix = found->prefix;
    ++table.known_count;
    sequence.computed_count = table.known_count * block_size_;
  }
}

bool KvManager::Cover(Sequence& sequence, int64_t positions) {
  std::vector<int32_t>& blocks = sequence.table.blocks;
  const auto wanted = static_cast<size_t>(BlocksFor(positions));
  if (wanted <= blocks.size()) return true;
  if (wanted - blocks.size() > static_cast<size_t>(pool_.num_available())) return false;
  if (blocks.empty()) sequence.table.generation = generation_;
  while (blocks.size() < wanted) {
    const std::optional<KvBlockPool::Allocation> taken = pool_.Allocate();
    CHECK(taken.has_value());
    if (taken->was_kept) cache_.Erase(taken->block);
    blocks.push_back(taken->block);
  }
  return true;
}

void KvManager::Share(Sequence& sequence) {
  BlockTable& table = sequence.table;
  if (!prefix_caching_ || table.generation != generation_) return;
  for (; table.known_count < sequence.computed_count / block_size_; ++table.known_count) {
    const int32_t index = table.known_count;
    int32_t& own = table.blocks[static_cast<size_t>(index)];
    const std::vector<int32_t>& token_ids = BlockTokens(sequence, index);
    const std::string& salt = sequence.spec.cache_salt;
    if (const auto found = cache_.Find(table.known_prefix, salt, token_ids)) {
      pool_.AddReference(found->block);
      pool_.Release(own);
      own = found->block;
      table.known_prefix = found->prefix;
      continue;
    }
    const int32_t before = index == 0 ? -1 : table.blocks[static_cast<size_t>(index - 1)];
    table.known_prefix = cache_.Insert(table.known_prefix, before, salt, token_ids, own);
    pool_.SetKept(own, true);
  }
}

void KvManager::Release(Sequence& sequence) {
  std::vector<int32_t>& blocks = sequence.table.blocks;
  for (auto block = blocks.rbegin(); block != blocks.rend(); ++block) pool_.Release(*block);
  sequence.table = BlockTable();
  sequence.computed_count = 0;
}

int32_t KvManager::Reset() {
  ++generation_;
  const std::vector<int32_t> known = cache_.Clear();
  for (const int32_t block : known) pool_.SetKept(block, false);
  return static_cast<int32_t>(known.size());
}

}  // namespace vallm::engine
