// From a piece of text that is one token to its id: the look-up that settles most pieces, made for
// speed. (vocab.h has all ids, with their bytes.)
#ifndef VALLM_TOKENIZER_SERVICE_BPE_PIECE_TABLE_H_
#define VALLM_TOKENIZER_SERVICE_BPE_PIECE_TABLE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer_service/bpe/huge_page_allocator.h"

namespace vallm::tokenizer {

// Thread-safe once filled.
class PieceTable {
 public:
  static constexpr int32_t kNoId = -1;
  // REQUIRES: Insert() is called at most `capacity` times.
  explicit PieceTable(size_t capacity);

  // REQUIRES: `piece` is new and not empty; id in 0 .. 2^24 - 1.
  void Insert(std::string_view piece, int32_t id);

  // A look-up that has begun: the memory it needs is on its way.
  struct Probe {
    std::string_view piece;
    uint64_t low;
    uint32_t high;
    uint32_t slot;
  };

  // REQUIRES: `piece` is not empty and lies before `end`, up to which may be read.
  Probe Start(std::string_view piece, const char* end) const {
    const Key key = piece.size() > kInlineBytes ? LongKey(piece)
                    : static_cast<size_t>(end - piece.data()) >= kReadBytes
                        ? ShortKey(piece)
                        : ShortKeyBounded(piece);
    const size_t slot = FirstSlot(key);
    __builtin_prefetch(&slots_[slot]);
    return {piece, key.low, key.high, static_cast<uint32_t>(slot)};
  }

  // The id of the piece, or kNoId.
  int32_t Finish(const Probe& probe) const {
    if (probe.piece.size() > kInlineBytes) return FinishLong(probe);
    for (size_t slot = probe.slot;; slot = (slot + 1) & slot_mask_) {
      const Slot& s = slots_[slot];
      if (s.low == probe.low && s.high == probe.high && s.length == probe.piece.size()) {
        return static_cast<int32_t>(s.id);
      }
      if (s.length == 0) return kNoId;
    }
  }

 private:
  static constexpr size_t kInlineBytes = 12;
  // What is read of a short piece, whatever its length.
  static constexpr size_t kReadBytes = 16;
  // The bytes of a piece of up to kInlineBytes, then zeros; the hash of a longer one and 0.
  struct Key {
    uint64_t low;
    uint32_t high;
    uint32_t length;  // at most 255
  };
  // A quarter of a cache line: to find a short piece nothing else is touched.
  struct Slot {
    uint64_t low = 0;
    uint32_t high = 0;        // of a long piece: where it is in long_pieces_
    uint32_t length : 8 = 0;  // 0 if the slot is free
    uint32_t id : 24 = 0;
  };
  struct Mask {
    uint64_t low;
    uint32_t high;
  };
  static const std::array<Mask, kInlineBytes + 1> kMasks;

  static uint64_t Mix(uint64_t a, uint64_t b) {
    const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  }
  static Key ShortKey(std::string_view piece) {
    uint64_t low;
    uint32_t high;
    std::memcpy(&low, piece.data(), sizeof(low));
    std::memcpy(&high, piece.data() + sizeof(low), sizeof(high));
    const Mask& mask = kMasks[piece.size()];
    return {low & mask.low, high & mask.high, static_cast<uint32_t>(piece.size())};
  }
  static Key ShortKeyBounded(std::string_view piece);
  static Key LongKey(std::string_view piece);
  size_t FirstSlot(const Key& key) const {
    return Mix(key.low ^ 0x9E3779B97F4A7C15u,
               0xD6E8FEB86659FD93u ^ key.high ^ uint64_t{key.length} << 32) &
           slot_mask_;
  }
  int32_t FinishLong(const Probe& probe) const;

  std::vector<Slot, HugePageAllocator<Slot>> slots_;  // open addressing, linear probing
  size_t slot_mask_;
  std::string long_pieces_;  // each piece above kInlineBytes behind its length in four bytes
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_BPE_PIECE_TABLE_H_
