#include "tokenizer_service/bpe/pair_table.h"

#include <bit>

namespace vallm::tokenizer {

PairTable::PairTable(size_t capacity)
    // At most two thirds full; 7 to 14 bits of filter for each pair.
    : slots_(std::bit_ceil(capacity + capacity / 2 + 2), kEmptySlot),
      slot_mask_(slots_.size() - 1),
      filter_(std::bit_ceil(capacity * 7 / 64 + 1)),
      filter_mask_(filter_.size() - 1) {}

void PairTable::Set(uint32_t left, uint32_t right, uint32_t rank) {
  const uint64_t key = Key(left, right);
  const uint64_t hash = Hash(key);
  filter_[hash >> kFilterShift & filter_mask_] |= FilterBits(hash);
  size_t slot = hash & slot_mask_;
  while (slots_[slot] != kEmptySlot && slots_[slot] >> kRankBits != key) {
    slot = (slot + 1) & slot_mask_;
  }
  slots_[slot] = key << kRankBits | rank;
}

}  // namespace vallm::tokenizer
