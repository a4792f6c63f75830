#include "tokenizer_service/bpe/merges.h"

#include <algorithm>
#include <functional>
#include <queue>

namespace vallm::tokenizer {
Merges::Merges(const std::array<int32_t, 256>& byte_ids, const std::vector<Merge>& merges)
    : byte_ids_(byte_ids), byte_pair_ranks_(size_t{256} * 256), pairs_(merges.size()) {
  joined_.reserve(merges.size());
  for (const Merge& merge : merges) {
    pairs_.Set(static_cast<uint32_t>(merge.left), static_cast<uint32_t>(merge.right),
               static_cast<uint32_t>(joined_.size()));
    joined_.push_back(merge.joined);
  }
  for (size_t left = 0; left < 256; ++left) {
    for (size_t right = 0; right < 256; ++right) {
      byte_pair_ranks_[left * 256 + right] = Rank(byte_ids_[left], byte_ids_[right]);
    }
  }
}

void Merges::Apply(std::string_view piece, std::vector<int32_t>* ids) const {
  if (piece.size() <= kScanLimit) {
    ApplyByScan(piece, ids);
  } else {
    ApplyByHeap(piece, ids);
  }
}

void Merges::ApplyByScan(std::string_view piece, std::vector<int32_t>* ids) const {
  int32_t tokens[kScanLimit];
  uint32_t ranks[kScanLimit];  // ranks[i] joins tokens[i] and tokens[i + 1]
  size_t count = piece.size();
  const auto byte = [piece](size_t i) { return static_cast<uint8_t>(piece[i]); };
  for (size_t i = 0; i < count; ++i) tokens[i] = byte_ids_[byte(i)];
  for (size_t i = 0; i + 1 < count; ++i) {
    ranks[i] = byte_pair_ranks_[byte(i) * size_t{256} + byte(i + 1)];
  }
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i) {
      if (ranks[i] < ranks[best]) best = i;
    }
    if (ranks[best] == kNoRank) break;
    tokens[best] = joined_[ranks[best]];
    std::copy(tokens + best + 2, tokens + count, tokens + best + 1);
    std::copy(ranks + best + 1, ranks + count - 1, ranks + best);
    --count;
    if (best > 0) ranks[best - 1] = Rank(tokens[best - 1], tokens[best]);
    if (best + 1 < count) ranks[best] = Rank(tokens[best], tokens[best + 1]);
  }
  ids->insert(ids->end(), tokens, tokens + count);
}

void Merges::ApplyByHeap(std::string_view piece, std::vector<int32_t>* ids) const {
  struct Node {
    int32_t token;
    uint32_t rank;  // of joining this node with the next; kNoRank also once the node is gone
    uint32_t previous;
    uint32_t next;
  };
  constexpr uint32_t kEnd = UINT32_MAX;
  const auto count = static_cast<uint32_t>(piece.size());
  std::vector<Node> nodes(count);
  // Lowest rank first, then leftmost. An entry is stale unless its node still has that rank.
  std::vector<uint64_t> entries;
  entries.reserve(count);
  const auto entry = [](uint32_t rank, uint32_t index) {
    return (static_cast<uint64_t>(rank) << 32) | index;
  };
  for (uint32_t i = 0; i < count; ++i) {
    const auto byte = static_cast<uint8_t>(piece[i]);
    const bool last = i + 1 == count;
    const uint32_t rank =
        last ? kNoRank : byte_pair_ranks_[byte * size_t{256} + static_cast<uint8_t>(piece[i + 1])];
    nodes[i] = {byte_ids_[byte], rank, i == 0 ? kEnd : i - 1, last ? kEnd : i + 1};
    if (rank != kNoRank) entries.push_back(entry(rank, i));
  }
  std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> heap(std::greater<>(),
                                                                            std::move(entries));
  const auto rerank = [&](uint32_t index) {
    Node& node = nodes[index];
    node.rank = node.next == kEnd ? kNoRank : Rank(node.token, nodes[node.next].token);
    if (node.rank != kNoRank) heap.push(entry(node.rank, index));
  };
  while (!heap.empty()) {
    const auto rank = static_cast<uint32_t>(heap.top() >> 32);
    const auto index = static_cast<uint32_t>(heap.top());
    heap.pop();
    Node& node = nodes[index];
    if (node.rank != rank) continue;
    Node& absorbed = nodes[node.next];
    absorbed.rank = kNoRank;
    node.token = joined_[rank];
    node.next = absorbed.next;
    if (node.next != kEnd) nodes[node.next].previous = index;
    rerank(index);
    if (node.previous != kEnd) rerank(node.previous);
  }
  for (uint32_t i = 0; i != kEnd; i = nodes[i].next) ids->push_back(nodes[i].token);
}

}  // namespace vallm::tokenizer
