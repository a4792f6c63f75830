#include "engine_service/speculation/ngram_index.h"

#include <glog/logging.h>

namespace vallm::engine {

NgramIndex::NgramIndex(int32_t min_length, int32_t max_length)
    : min_length_(min_length), max_length_(max_length) {
  CHECK_GE(min_length, 1);
  CHECK_GE(max_length, min_length);
}

void NgramIndex::Reserve(size_t token_count) {
  tokens_.reserve(token_count);
  previous_.reserve(token_count);
  latest_.reserve(token_count);
}

// Tokens that share a key by chance share a chain; CommonSuffix tells them apart.
uint64_t NgramIndex::KeyOfLast() const {
  uint64_t key = 0;
  for (size_t i = tokens_.size() - static_cast<size_t>(min_length_); i < tokens_.size(); ++i) {
    key = (key ^ static_cast<uint32_t>(tokens_[i])) * 0x9E3779B97F4A7C15u;
    key ^= key >> 29;
  }
  return key;
}

void NgramIndex::Append(int32_t token_id) {
  tokens_.push_back(token_id);
  previous_.push_back(-1);
  if (tokens_.size() < static_cast<size_t>(min_length_)) return;
  const auto own = static_cast<int32_t>(tokens_.size()) - 1;
  const auto [latest, first] = latest_.try_emplace(KeyOfLast(), own);
  if (first) return;
  previous_.back() = latest->second;
  latest->second = own;
}

int32_t NgramIndex::CommonSuffix(int32_t end) const {
  const auto size = static_cast<int32_t>(tokens_.size());
  int32_t length = 0;
  while (length < max_length_ && length < end &&
         tokens_[static_cast<size_t>(end - 1 - length)] ==
             tokens_[static_cast<size_t>(size - 1 - length)]) {
    ++length;
  }
  return length;
}

std::optional<NgramIndex::Match> NgramIndex::LongestMatch() const {
  if (tokens_.empty()) return std::nullopt;
  std::optional<Match> best;
  int32_t last = previous_.back();
  for (int tried = 0; tried < kMaxCandidates && last >= 0; ++tried) {
    const int32_t length = CommonSuffix(last + 1);
    if (length >= min_length_ && (!best.has_value() || length > best->length)) {
      best = {.end = last + 1, .length = length};
      if (length == max_length_) break;
    }
    last = previous_[static_cast<size_t>(last)];
  }
  return best;
}

}  // namespace vallm::engine
