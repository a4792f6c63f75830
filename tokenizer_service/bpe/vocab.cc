#include "tokenizer_service/bpe/vocab.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace vallm::tokenizer {
namespace {

constexpr uint64_t kHashSeed = 0x9E3779B97F4A7C15u;
constexpr uint64_t kHashMultiplier = 0xD6E8FEB86659FD93u;

uint64_t Mix(uint64_t a, uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

template <typename T>
T Load(const char* data) {
  T word;
  std::memcpy(&word, data, sizeof(word));
  return word;
}

// 1 to 8 bytes as a number that is different for different bytes of one length. Loads overlap
// instead of depending on the length.
uint64_t ShortWord(const char* data, size_t length) {
  if (length >= 4) {
    return Load<uint32_t>(data) | uint64_t{Load<uint32_t>(data + length - 4)} << 32;
  }
  const auto byte = [data](size_t i) { return uint64_t{static_cast<uint8_t>(data[i])}; };
  return byte(0) | byte(length / 2) << 8 | byte(length - 1) << 16;
}

uint64_t Hash(std::string_view bytes) {
  uint64_t hash = kHashSeed ^ bytes.size();
  while (bytes.size() > 8) {
    hash = Mix(hash ^ Load<uint64_t>(bytes.data()), kHashMultiplier);
    bytes.remove_prefix(8);
  }
  return Mix(hash ^ ShortWord(bytes.data(), bytes.size()), kHashMultiplier);
}

}  // namespace

Vocab::Vocab(const std::vector<Entry>& entries) {
  int32_t highest = -1;
  size_t total = 0;
  for (const Entry& entry : entries) {
    highest = std::max(highest, entry.id);
    total += entry.bytes.size();
  }
  std::vector<const Entry*> by_id(static_cast<size_t>(highest) + 1, nullptr);
  for (const Entry& entry : entries) by_id[static_cast<size_t>(entry.id)] = &entry;
  arena_.reserve(total);
  offsets_.reserve(by_id.size() + 1);
  offsets_.push_back(0);
  for (const Entry* entry : by_id) {
    if (entry != nullptr) arena_.append(entry->bytes);
    offsets_.push_back(static_cast<uint32_t>(arena_.size()));
  }
  slots_.resize(std::bit_ceil(entries.size() + entries.size() / 2 + 2));
  slot_mask_ = slots_.size() - 1;
  for (const Entry& entry : entries) Insert(entry.bytes, entry.id);
}

Vocab::Key Vocab::MakeKey(std::string_view bytes) {
  const auto length = static_cast<uint32_t>(std::min<size_t>(bytes.size(), 255));
  if (bytes.size() <= 8) return {ShortWord(bytes.data(), bytes.size()), 0, length};
  if (bytes.size() <= kInlineBytes) {
    return {Load<uint64_t>(bytes.data()), Load<uint32_t>(bytes.data() + bytes.size() - 4), length};
  }
  return {Hash(bytes), 0, length};
}

size_t Vocab::FirstSlot(const Key& key) const {
  return Mix(key.low ^ kHashSeed, kHashMultiplier ^ key.high ^ (uint64_t{key.length} << 32)) &
         slot_mask_;
}

bool Vocab::Holds(const Slot& slot, const Key& key, std::string_view bytes) const {
  if (slot.low != key.low || slot.high != key.high || slot.length != key.length) return false;
  return bytes.size() <= kInlineBytes || Bytes(static_cast<int32_t>(slot.id)) == bytes;
}

void Vocab::Insert(std::string_view bytes, int32_t id) {
  if (bytes.empty()) return;
  const Key key = MakeKey(bytes);
  size_t slot = FirstSlot(key);
  while (slots_[slot].length != 0) {
    if (Holds(slots_[slot], key, bytes)) return;
    slot = (slot + 1) & slot_mask_;
  }
  slots_[slot] = {key.low, key.high, key.length, static_cast<uint32_t>(id)};
}

std::optional<int32_t> Vocab::Find(std::string_view bytes) const {
  if (bytes.empty()) return std::nullopt;
  const Key key = MakeKey(bytes);
  for (size_t slot = FirstSlot(key); slots_[slot].length != 0; slot = (slot + 1) & slot_mask_) {
    if (Holds(slots_[slot], key, bytes)) return static_cast<int32_t>(slots_[slot].id);
  }
  return std::nullopt;
}

std::string_view Vocab::Bytes(int32_t id) const {
  if (id < 0 || id >= size()) return {};
  const size_t index = static_cast<size_t>(id);
  return std::string_view(arena_).substr(offsets_[index], offsets_[index + 1] - offsets_[index]);
}

}  // namespace vallm::tokenizer
