#include "gateway/routing/prefix_record.h"

#include <algorithm>

namespace vallm::gateway {
namespace {

// About 80 bytes each: 10 MB for an instance that holds two million tokens.
constexpr int64_t kMaxBlocks = 1 << 17;

size_t Bounded(int64_t capacity_blocks) {
  return static_cast<size_t>(std::clamp<int64_t>(capacity_blocks, 0, kMaxBlocks));
}

}  // namespace

PrefixRecord::PrefixRecord(int64_t capacity_blocks) : blocks_(Bounded(capacity_blocks)) {}

void PrefixRecord::SetCapacity(int64_t capacity_blocks) {
  blocks_.SetCapacity(Bounded(capacity_blocks));
}

void PrefixRecord::Add(const PromptBlocks& prompt) {
  // From the end, so that a beginning, without which the rest is of no use, counts as used later.
  for (auto hash = prompt.hashes.rbegin(); hash != prompt.hashes.rend(); ++hash) {
    blocks_.Put(*hash, Nothing());
  }
}

int64_t PrefixRecord::MatchedTokens(const PromptBlocks& prompt) const {
  const auto end = std::find_if(prompt.hashes.begin(), prompt.hashes.end(),
                                [this](uint64_t hash) { return blocks_.Find(hash) == nullptr; });
  return (end - prompt.hashes.begin()) * prompt.block_tokens;
}

}  // namespace vallm::gateway
