// The two-way table between token ids and the bytes they stand for.
#ifndef VALLM_TOKENIZER_SERVICE_BPE_VOCAB_H_
#define VALLM_TOKENIZER_SERVICE_BPE_VOCAB_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer_service/bpe/huge_page_allocator.h"

namespace vallm::tokenizer {

// Immutable, thread-safe.
class Vocab {
 public:
  struct Entry {
    int32_t id;
    std::string_view bytes;  // need not outlive the constructor
  };

  // REQUIRES: ids are unique and in 0 .. 2^24 - 1. Of two entries with the same bytes, Find() gives
  // the one listed first.
  explicit Vocab(const std::vector<Entry>& entries);

  // The id whose bytes are exactly `bytes`; never that of an entry without bytes.
  std::optional<int32_t> Find(std::string_view bytes) const;

  // The bytes of `id`; empty if there is no such id. Lives as long as *this.
  std::string_view Bytes(int32_t id) const;

  // The highest id plus one.
  int32_t size() const { return static_cast<int32_t>(offsets_.size()) - 1; }

 private:
  // Bytes as a fixed-size key. Up to kInlineBytes the key is the bytes; beyond it stands for their
  // hash. Either way the length is part of it.
  struct Key {
    uint64_t low = 0;
    uint32_t high = 0;
    uint32_t length = 0;
  };
  // A quarter of a cache line: looking up a short token touches nothing else.
  struct Slot {
    uint64_t low = 0;
    uint32_t high = 0;
    uint32_t length : 8 = 0;  // capped at 255; 0 if the slot is free
    uint32_t id : 24 = 0;
  };
  static constexpr size_t kInlineBytes = 12;

  static Key MakeKey(std::string_view bytes);
  size_t FirstSlot(const Key& key) const;
  bool Holds(const Slot& slot, const Key& key, std::string_view bytes) const;
  void Insert(std::string_view bytes, int32_t id);

  std::string arena_;              // the bytes of all tokens, by id
  std::vector<uint32_t> offsets_;  // [size() + 1] where each id's bytes begin in arena_
  std::vector<Slot, HugePageAllocator<Slot>>
      slots_;  // open addressing, linear probing, at most two thirds full
  size_t slot_mask_ = 0;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_BPE_VOCAB_H_
