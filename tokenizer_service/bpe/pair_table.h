// A hash table from pairs of tokens to the rank of their merge.
#ifndef VALLM_TOKENIZER_SERVICE_BPE_PAIR_TABLE_H_
#define VALLM_TOKENIZER_SERVICE_BPE_PAIR_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tokenizer_service/bpe/huge_page_allocator.h"

namespace vallm::tokenizer {

// Thread-safe once filled.
class PairTable {
 public:
  static constexpr uint32_t kNoRank = UINT32_MAX;

  // REQUIRES: Set() is called at most `capacity` times.
  explicit PairTable(size_t capacity);

  // Gives the pair a rank; one that it had is replaced. REQUIRES: left, right < 2^22 - 1 and
  // rank < 2^20.
  void Set(uint32_t left, uint32_t right, uint32_t rank);

  // The rank of the pair, or kNoRank. Most pairs asked for have none: a filter small enough to stay
  // in the cache answers for nearly all of those.
  uint32_t Find(uint32_t left, uint32_t right) const {
    const uint64_t key = Key(left, right);
    const uint64_t hash = Hash(key);
    const uint64_t bits = FilterBits(hash);
    if ((filter_[hash >> kFilterShift & filter_mask_] & bits) != bits) return kNoRank;
    for (size_t slot = hash & slot_mask_;; slot = (slot + 1) & slot_mask_) {
      const uint64_t entry = slots_[slot];
      if (entry >> kRankBits == key) return static_cast<uint32_t>(entry & kRankMask);
      if (entry == kEmptySlot) return kNoRank;
    }
  }

 private:
  static constexpr int kIdBits = 22;
  static constexpr int kRankBits = 20;
  static constexpr uint64_t kRankMask = (uint64_t{1} << kRankBits) - 1;
  static constexpr int kFilterShift = 20;
  static constexpr uint64_t kEmptySlot = UINT64_MAX;  // ids end at 2^22 - 2

  static uint64_t Key(uint32_t left, uint32_t right) { return uint64_t{left} << kIdBits | right; }
  // 40 good bits: the lowest for the slot, those from kFilterShift on for the word of the filter.
  static uint64_t Hash(uint64_t key) { return ((key ^ (key >> 32)) * 0x9E3779B97F4A7C15u) >> 24; }
  // Two bits of a word.
  static uint64_t FilterBits(uint64_t hash) {
    return uint64_t{1} << (hash & 63) | uint64_t{1} << (hash >> 6 & 63);
  }

  std::vector<uint64_t, HugePageAllocator<uint64_t>>
      slots_;  // key (44 bits), rank (20); open addressing
  size_t slot_mask_;
  std::vector<uint64_t> filter_;  // the bits of all pairs that have a rank
  size_t filter_mask_;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_BPE_PAIR_TABLE_H_
