// DictCell and Equals: the parts of a value that compare keys.
#include <algorithm>
#include <functional>

#include "tokenizer_service/template/numbers.h"
#include "tokenizer_service/template/value.h"

namespace vallm::tokenizer {
namespace {

constexpr size_t kScanLimit = 8;  // up to here a scan beats the table

bool ItemsEqual(const std::vector<Value>& a, const std::vector<Value>& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), Equals);
}

bool DictsEqual(const DictCell& a, const DictCell& b) {
  if (a.size() != b.size()) return false;
  return std::all_of(a.entries().begin(), a.entries().end(), [&b](const DictCell::Entry& entry) {
    const Value* other = b.Find(entry.first);
    return other != nullptr && Equals(entry.second, *other);
  });
}

bool RangesEqual(const RangeCell& a, const RangeCell& b) {
  if (a.length != b.length) return false;
  if (a.length == 0) return true;
  return a.start == b.start && (a.length == 1 || a.step == b.step);
}

}  // namespace

bool Equals(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return CompareNumbers(a, b) == NumberOrder::kEqual;
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Value::Kind::kStr:
      return a.text() == b.text();
    case Value::Kind::kList:
    case Value::Kind::kTuple:
      return &a.items() == &b.items() || ItemsEqual(a.items(), b.items());
    case Value::Kind::kDict:
      return &a.dict() == &b.dict() || DictsEqual(a.dict(), b.dict());
    case Value::Kind::kRange:
      return RangesEqual(a.range(), b.range());
    case Value::Kind::kObject:
      return &a.object() == &b.object();
    default:
      return true;  // None, Undefined and missing equal themselves
  }
}

template <typename Matches>
const DictCell::Entry* DictCell::Probe(size_t hash, const Matches& matches) const {
  if (table_.empty()) {
    for (size_t i = 0; i < entries_.size(); ++i) {
      if (hashes_[i] == hash && matches(entries_[i].first)) return &entries_[i];
    }
    return nullptr;
  }
  const size_t mask = table_.size() - 1;
  for (size_t slot = hash & mask; table_[slot] != 0; slot = (slot + 1) & mask) {
    const size_t i = table_[slot] - 1;
    if (hashes_[i] == hash && matches(entries_[i].first)) return &entries_[i];
  }
  return nullptr;
}

const Value* DictCell::Find(const Value& key) const {
  if (!IsHashable(key)) return nullptr;
  const Entry* entry =
      Probe(HashOf(key), [&key](const Value& other) { return Equals(key, other); });
  return entry == nullptr ? nullptr : &entry->second;
}

const Value* DictCell::Find(std::string_view key) const {
  const Entry* entry = Probe(std::hash<std::string_view>()(key), [key](const Value& other) {
    return other.is_str() && other.text() == key;
  });
  return entry == nullptr ? nullptr : &entry->second;
}

void DictCell::Set(const Value& key, Value value) {
  const size_t hash = HashOf(key);
  const Entry* entry = Probe(hash, [&key](const Value& other) { return Equals(key, other); });
  if (entry == nullptr) return Append(hash, key, std::move(value));
  depth_ = std::max(depth_, 1 + value.Depth());
  weight_ = std::min(Value::kMaxWeight, weight_ + value.Weight());
  const_cast<Entry*>(entry)->second = std::move(value);
}

void DictCell::Set(std::string_view key, Value value) {
  Set(Value::Str(std::string(key)), std::move(value));
}

void DictCell::Append(size_t hash, const Value& key, Value value) {
  depth_ = std::max(depth_, 1 + std::max(key.Depth(), value.Depth()));
  weight_ = std::min(Value::kMaxWeight, weight_ + key.Weight() + value.Weight());
  entries_.emplace_back(key, std::move(value));
  hashes_.push_back(hash);
  if (entries_.size() <= kScanLimit) return;
  if (entries_.size() * 2 > table_.size()) return Rebuild();
  const size_t mask = table_.size() - 1;
  size_t slot = hash & mask;
  while (table_[slot] != 0) slot = (slot + 1) & mask;
  table_[slot] = static_cast<uint32_t>(entries_.size());
}

void DictCell::Rebuild() {
  size_t capacity = 32;
  while (capacity < entries_.size() * 4) capacity *= 2;
  table_.assign(capacity, 0);
  for (size_t i = 0; i < entries_.size(); ++i) {
    size_t slot = hashes_[i] & (capacity - 1);
    while (table_[slot] != 0) slot = (slot + 1) & (capacity - 1);
    table_[slot] = static_cast<uint32_t>(i + 1);
  }
}

}  // namespace vallm::tokenizer
