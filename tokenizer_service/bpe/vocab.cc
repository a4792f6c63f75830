#include "tokenizer_service/bpe/vocab.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace vallm::tokenizer {
namespace {

uint64_t Mix(uint64_t a, uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

uint64_t Load(const char* data, size_t length) {
  uint64_t word = 0;
  std::memcpy(&word, data, length);
  return word;
}

uint32_t Hash(std::string_view bytes) {
  constexpr uint64_t kSeed = 0x9E3779B97F4A7C15u;
  constexpr uint64_t kMultiplier = 0xD6E8FEB86659FD93u;
  uint64_t hash = kSeed ^ bytes.size();
  while (bytes.size() > 8) {
    hash = Mix(hash ^ Load(bytes.data(), 8), kMultiplier);
    bytes.remove_prefix(8);
  }
  hash = Mix(hash ^ Load(bytes.data(), bytes.size()), kMultiplier);
  return static_cast<uint32_t>(hash ^ (hash >> 32));
}

}  // namespace

Vocab::Vocab(const std::vector<Entry>& entries) {
  int32_t highest = -1;
  size_t total = 0;
  for (const Entry& entry : entries) {
    highest = std::max(highest, entry.id);
    total += entry.bytes.size();
    max_length_ = std::max(max_length_, entry.bytes.size());
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
  slots_.assign(std::bit_ceil(entries.size() * 2 + 2), {0, kEmpty});
  slot_mask_ = slots_.size() - 1;
  for (const Entry& entry : entries) Insert(entry.bytes, entry.id);
}

void Vocab::Insert(std::string_view bytes, int32_t id) {
  const uint32_t hash = Hash(bytes);
  size_t slot = hash & slot_mask_;
  while (slots_[slot].id != kEmpty) {
    if (slots_[slot].hash == hash && Stored(slots_[slot].id) == bytes) return;
    slot = (slot + 1) & slot_mask_;
  }
  slots_[slot] = {hash, id};
}

std::optional<int32_t> Vocab::Find(std::string_view bytes) const {
  if (bytes.size() > max_length_) return std::nullopt;
  const uint32_t hash = Hash(bytes);
  for (size_t slot = hash & slot_mask_; slots_[slot].id != kEmpty; slot = (slot + 1) & slot_mask_) {
    if (slots_[slot].hash == hash && Stored(slots_[slot].id) == bytes) return slots_[slot].id;
  }
  return std::nullopt;
}

std::string_view Vocab::Stored(int32_t id) const {
  const size_t index = static_cast<size_t>(id);
  return std::string_view(arena_).substr(offsets_[index], offsets_[index + 1] - offsets_[index]);
}

std::string_view Vocab::Bytes(int32_t id) const {
  if (id < 0 || id >= size()) return {};
  return Stored(id);
}

}  // namespace vallm::tokenizer
