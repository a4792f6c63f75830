#include "engine_service/scheduler/prefix_cache.h"

#include <glog/logging.h>

#include <algorithm>

#include "absl/hash/hash.h"

namespace vallm::engine {

size_t PrefixCache::KeyHash::operator()(const Key& key) const {
  uint64_t hash = absl::HashOf(key.parent, *key.salt);
  for (const int32_t id : key.token_ids) {
    hash = (hash ^ static_cast<uint32_t>(id)) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 29;
  }
  return absl::HashOf(hash);
}
size_t PrefixCache::KeyHash::operator()(int32_t block) const {
  return (*this)(KeyOf((*nodes)[static_cast<size_t>(block)]));
}

bool PrefixCache::KeyEqual::operator()(const Key& a, const Key& b) const {
  return a.parent == b.parent && *a.salt == *b.salt &&
         std::equal(a.token_ids.begin(), a.token_ids.end(), b.token_ids.begin(), b.token_ids.end());
}
bool PrefixCache::KeyEqual::operator()(const Key& a, int32_t b) const {
  return (*this)(a, KeyOf((*nodes)[static_cast<size_t>(b)]));
}
bool PrefixCache::KeyEqual::operator()(int32_t a, const Key& b) const { return (*this)(b, a); }
bool PrefixCache::KeyEqual::operator()(int32_t a, int32_t b) const {
  return a == b || (*this)(KeyOf((*nodes)[static_cast<size_t>(a)]), b);
}

PrefixCache::PrefixCache(int32_t num_blocks)
    : nodes_(static_cast<size_t>(num_blocks)), known_(0, KeyHash{&nodes_}, KeyEqual{&nodes_}) {}

std::optional<PrefixCache::Entry> PrefixCache::Find(PrefixId parent, const std::string& salt,
                                                    std::span<const int32_t> token_ids) const {
  static const std::string no_salt;
  const auto found = known_.find(Key{parent, parent == kEmptyPrefix ? &salt : &no_salt, token_ids});
  if (found == known_.end()) return std::nullopt;
  return Entry{.prefix = nodes_[static_cast<size_t>(*found)].prefix, .block = *found};
}

PrefixId PrefixCache::Insert(PrefixId parent, int32_t parent_block, const std::string& salt,
                             std::span<const int32_t> token_ids, int32_t block) {
  Node& node = nodes_.at(static_cast<size_t>(block));
  CHECK_EQ(node.prefix, kEmptyPrefix) << "block " << block << " is known already";
  if (parent == kEmptyPrefix) {
    node.salt = salt;
  } else {
    Node& above = nodes_.at(static_cast<size_t>(parent_block));
    CHECK_EQ(above.prefix, parent) << "block " << parent_block << " does not end the parent";
    ++above.child_count;
    node.parent_block = parent_block;
  }
  node.parent = parent;
  node.prefix = next_prefix_++;
  node.token_ids.assign(token_ids.begin(), token_ids.end());
  CHECK(known_.insert(block).second) << "another block holds these tokens";
  return node.prefix;
}

void PrefixCache::Erase(int32_t block) {
  Node& node = nodes_.at(static_cast<size_t>(block));
  CHECK_NE(node.prefix, kEmptyPrefix) << "block " << block << " is not known";
  CHECK_EQ(node.child_count, 0) << "block " << block << " goes before its children";
  known_.erase(block);
  if (node.parent != kEmptyPrefix) --nodes_[static_cast<size_t>(node.parent_block)].child_count;
  node = Node();
}

std::vector<int32_t> PrefixCache::Clear() {
  std::vector<int32_t> blocks(known_.begin(), known_.end());
  known_.clear();
  for (const int32_t block : blocks) nodes_[static_cast<size_t>(block)] = Node();
  return blocks;
}

}  // namespace vallm::engine
