#include "tokenizer_service/bpe/piece_table.h"

#include <algorithm>
#include <bit>

namespace vallm::tokenizer {

constinit const std::array<PieceTable::Mask, PieceTable::kInlineBytes + 1> PieceTable::kMasks = [] {
  std::array<Mask, kInlineBytes + 1> masks{};
  for (size_t length = 0; length <= kInlineBytes; ++length) {
    masks[length].low = length >= 8 ? ~uint64_t{0} : (uint64_t{1} << (8 * length)) - 1;
    const size_t rest = length > 8 ? length - 8 : 0;
    masks[length].high = rest == 4 ? ~uint32_t{0} : (uint32_t{1} << (8 * rest)) - 1;
  }
  return masks;
}();

PieceTable::PieceTable(size_t capacity)
    // At most two thirds full.
    : slots_(std::bit_ceil(capacity + capacity / 2 + 2)), slot_mask_(slots_.size() - 1) {}

PieceTable::Key PieceTable::LongKey(std::string_view piece) {
  const auto length = static_cast<uint32_t>(std::min<size_t>(piece.size(), 255));
  const char* const last = piece.data() + piece.size() - sizeof(uint64_t);
  uint64_t hash = piece.size();
  uint64_t word;
  for (const char* p = piece.data(); p < last; p += sizeof(word)) {
    std::memcpy(&word, p, sizeof(word));
    hash = Mix(hash ^ word, 0xA0761D6478BD642Fu);
  }
  std::memcpy(&word, last, sizeof(word));
  hash = Mix(hash ^ word, 0xE7037ED1A0B428DBu);
  return {hash, 0, length};
}

PieceTable::Key PieceTable::ShortKeyBounded(std::string_view piece) {
  char bytes[kReadBytes] = {};
  std::memcpy(bytes, piece.data(), piece.size());
  return ShortKey({bytes, piece.size()});
}

int32_t PieceTable::FinishLong(const Probe& probe) const {
  const size_t length = std::min<size_t>(probe.piece.size(), 255);
  for (size_t slot = probe.slot;; slot = (slot + 1) & slot_mask_) {
    const Slot& s = slots_[slot];
    if (s.length == 0) return kNoId;
    if (s.low != probe.low || s.length != length) continue;
    uint32_t size;
    std::memcpy(&size, &long_pieces_[s.high], sizeof(size));
    if (std::string_view(long_pieces_).substr(s.high + sizeof(size), size) == probe.piece) {
      return static_cast<int32_t>(s.id);
    }
  }
}

void PieceTable::Insert(std::string_view piece, int32_t id) {
  Key key = piece.size() > kInlineBytes ? LongKey(piece) : ShortKeyBounded(piece);
  size_t slot = FirstSlot(key);
  while (slots_[slot].length != 0) slot = (slot + 1) & slot_mask_;
  if (piece.size() > kInlineBytes) {
    key.high = static_cast<uint32_t>(long_pieces_.size());
    const auto size = static_cast<uint32_t>(piece.size());
    long_pieces_.append(reinterpret_cast<const char*>(&size), sizeof(size));
    long_pieces_.append(piece);
  }
  slots_[slot] = {key.low, key.high, key.length, static_cast<uint32_t>(id)};
}

}  // namespace vallm::tokenizer
