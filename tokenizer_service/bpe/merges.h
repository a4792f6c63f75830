// Byte-pair merging of one piece of text: starting from single bytes, the adjacent pair of lowest
// rank, leftmost first, is joined until no pair can be.
#ifndef VALLM_TOKENIZER_SERVICE_BPE_MERGES_H_
#define VALLM_TOKENIZER_SERVICE_BPE_MERGES_H_

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tokenizer_service/bpe/pair_table.h"

namespace vallm::tokenizer {

// Immutable, thread-safe.
class Merges {
 public:
  struct Merge {
    int32_t left;
    int32_t right;
    int32_t joined;
  };

  // `byte_ids[b]` is the token of the single byte b; `merges` are in the order of their ranks. Of
  // two merges of the same pair the later one counts. REQUIRES: ids in 0 .. 2^22 - 2; at most 2^20
  // merges.
  Merges(const std::array<int32_t, 256>& byte_ids, const std::vector<Merge>& merges);

  // Appends the ids of `piece`. O(n log n) in its length.
  void Apply(std::string_view piece, std::vector<int32_t>* ids) const;

 private:
  static constexpr uint32_t kNoRank = PairTable::kNoRank;
  // Above this length a heap beats scanning all pairs for the lowest rank.
  static constexpr size_t kScanLimit = 48;

  // The rank of joining two neighbours, or kNoRank.
  uint32_t Rank(int32_t left, int32_t right) const {
    return pairs_.Find(static_cast<uint32_t>(left), static_cast<uint32_t>(right));
  }
  void ApplyByScan(std::string_view piece, std::vector<int32_t>* ids) const;
  void ApplyByHeap(std::string_view piece, std::vector<int32_t>* ids) const;

  std::array<int32_t, 256> byte_ids_;
  std::vector<uint32_t> byte_pair_ranks_;  // [left byte * 256 + right byte]
  std::vector<int32_t> joined_;            // [rank]
  PairTable pairs_;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_BPE_MERGES_H_
