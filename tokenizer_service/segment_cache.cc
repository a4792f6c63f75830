#include "tokenizer_service/segment_cache.h"

#include <iterator>
#include <utility>

#include "common/strings.h"

namespace vallm::tokenizer {
namespace {

// List node, table slot, control blocks and the allocator's share, about.
constexpr size_t kOverheadBytes = 256;

}  // namespace

size_t SegmentCache::BytesOf(const Entry& entry) {
  return kOverheadBytes + entry.text.size() + entry.ids->size() * sizeof(int32_t);
}

SegmentCache::Ids SegmentCache::Find(std::string_view text) {
  const MutexLock lock(mu_);
  const auto found = by_text_.find(ToAbsl(text));
  if (found == by_text_.end()) {
    ++stats_.misses;
    return nullptr;
  }
  ++stats_.hits;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->ids;
}

void SegmentCache::Put(std::string_view text, Ids ids) {
  std::list<Entry> fresh;
  fresh.push_back({std::string(text), std::move(ids)});
  const size_t bytes = BytesOf(fresh.front());
  if (bytes > capacity_bytes_) return;
  std::list<Entry> dropped;  // freed after the lock
  const MutexLock lock(mu_);
  if (by_text_.contains(ToAbsl(text))) return;  // another thread was first
  while (stats_.bytes + bytes > capacity_bytes_) {
    stats_.bytes -= BytesOf(entries_.back());
    by_text_.erase(ToAbsl(entries_.back().text));
    dropped.splice(dropped.begin(), entries_, std::prev(entries_.end()));
  }
  entries_.splice(entries_.begin(), fresh);
  by_text_.emplace(ToAbsl(entries_.front().text), entries_.begin());
  stats_.bytes += bytes;
}

SegmentCache::Stats SegmentCache::stats() const {
  const MutexLock lock(mu_);
  Stats stats = stats_;
  stats.segments = entries_.size();
  return stats;
}

}  // namespace vallm::tokenizer
