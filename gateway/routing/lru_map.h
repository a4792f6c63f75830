// A map of bounded size that forgets what was used longest ago. Not thread-safe.
#ifndef VALLM_GATEWAY_ROUTING_LRU_MAP_H_
#define VALLM_GATEWAY_ROUTING_LRU_MAP_H_

#include <cstddef>
#include <list>
#include <unordered_map>
#include <utility>

namespace vallm::gateway {

template <typename Key, typename Value>
class LruMap {
 public:
  explicit LruMap(size_t capacity) : capacity_(capacity) {}

  // The value, or null. Does not count as use. Valid until the next change.
  const Value* Find(const Key& key) const {
    const auto entry = index_.find(key);
    return entry == index_.end() ? nullptr : &entry->second->second;
  }

  // Sets the value of `key` and makes it the one used last.
  void Put(const Key& key, Value value) {
    if (const auto entry = index_.find(key); entry != index_.end()) {
      entry->second->second = std::move(value);
      entries_.splice(entries_.begin(), entries_, entry->second);
      return;
    }
    entries_.emplace_front(key, std::move(value));
    index_.emplace(key, entries_.begin());
    Shrink();
  }

  void SetCapacity(size_t capacity) {
    capacity_ = capacity;
    Shrink();
  }
  void Clear() {
    index_.clear();
    entries_.clear();
  }
  size_t size() const { return index_.size(); }

 private:
  void Shrink() {
    while (index_.size() > capacity_) {
      index_.erase(entries_.back().first);
      entries_.pop_back();
    }
  }

  size_t capacity_;
  std::list<std::pair<Key, Value>> entries_;  // used last comes first
  std::unordered_map<Key, typename std::list<std::pair<Key, Value>>::iterator> index_;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTING_LRU_MAP_H_
