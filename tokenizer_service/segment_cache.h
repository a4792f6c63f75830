// Token ids of stretches of text that were encoded before, up to a number of bytes; what was used
// least recently goes first. Knows nothing of tokenizers: a key always stands for the same ids.
//
// Thread-safe: one lock, held for a lookup and never for copying ids.
#ifndef VALLM_TOKENIZER_SERVICE_SEGMENT_CACHE_H_
#define VALLM_TOKENIZER_SERVICE_SEGMENT_CACHE_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "common/mutex.h"

namespace vallm::tokenizer {

class SegmentCache {
 public:
  using Ids = std::shared_ptr<const std::vector<int32_t>>;

  // Keeps at most `capacity_bytes`: text, ids and what it takes to find them. 0: keeps nothing.
  explicit SegmentCache(size_t capacity_bytes) : capacity_bytes_(capacity_bytes) {}
  SegmentCache(const SegmentCache&) = delete;
  SegmentCache& operator=(const SegmentCache&) = delete;

  // The ids of `text`, or null. Texts are compared in full, so equal hashes do no harm.
  Ids Find(std::string_view text);

  // Remembers the ids of `text`. One segment larger than the capacity is not kept.
  void Put(std::string_view text, Ids ids);

  struct Stats {
    int64_t hits = 0;
    int64_t misses = 0;
    size_t bytes = 0;
    size_t segments = 0;
  };
  Stats stats() const;

 private:
  struct Entry {
    std::string text;
    Ids ids;
  };

  static size_t BytesOf(const Entry& entry);

  const size_t capacity_bytes_;
  mutable Mutex mu_;
  std::list<Entry> entries_ ABSL_GUARDED_BY(mu_);  // most recently used first
  // By the text inside the entry.
  absl::flat_hash_map<absl::string_view, std::list<Entry>::iterator> by_text_ ABSL_GUARDED_BY(mu_);
  Stats stats_ ABSL_GUARDED_BY(mu_);
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_SEGMENT_CACHE_H_
