#include "engine_service/constraint/token_runs.h"

namespace vallm::engine {

TokenRuns::TokenRuns(const TokenTrie& trie, int32_t begin, int32_t end, const ByteSet& set,
                     int mask_size) {
  const std::vector<TokenTrie::Node>& nodes = trie.nodes();
  const int base = nodes[static_cast<size_t>(begin)].depth - 1;
  std::array<std::vector<int32_t>, kLevels + 1> tokens;
  for (int32_t i = begin; i < end;) {
    const TokenTrie::Node& node = nodes[static_cast<size_t>(i)];
    const auto level = static_cast<size_t>(node.depth - base);
    if (!set[node.byte]) {
      exits_[level][node.byte].push_back(i);
      i = node.skip;
    } else if (level > kLevels) {
      deep_[node.byte].push_back(i);
      i = node.skip;
    } else {
      if (node.token >= 0) tokens[level].push_back(node.token);
      ++i;
    }
  }
  for (size_t level = 1; level <= kLevels; ++level) {
    tokens_.insert(tokens_.end(), tokens[level].begin(), tokens[level].end());
    ends_[level] = tokens_.size();
  }
  if (tokens_.size() >= kWorthMask) {
    mask_ = AllowedTokens(mask_size);
    for (const int32_t token : tokens_) mask_.Set(token);
  }
  memory_bytes_ = sizeof(*this) + tokens_.size() * sizeof(int32_t) + mask_.words().size_bytes();
  const auto add = [this](const NodesByByte& by_byte) {
    for (const auto& [byte, numbers] : by_byte) {
      memory_bytes_ += sizeof(byte) + sizeof(numbers) + numbers.size() * sizeof(int32_t);
    }
  };
  for (const NodesByByte& exits : exits_) add(exits);
  add(deep_);
}

void TokenRuns::AddTokens(int levels, AllowedTokens* mask) const {
  if (levels == kLevels && !mask_.words().empty()) {
    mask->Or(mask_);
    return;
  }
  const size_t end = ends_[static_cast<size_t>(levels)];
  for (size_t i = 0; i < end; ++i) mask->Set(tokens_[i]);
}

}  // namespace vallm::engine
