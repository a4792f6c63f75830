#include "tokenizer_service/bpe/token_trie.h"

#include <algorithm>
#include <span>
#include <string>

#include "tokenizer_service/bpe/utf8.h"

namespace vallm::tokenizer {
namespace {

constexpr uint32_t kBlockUnits = 256;

// Finds room for the children of one unit after the other. A base and its children lie in one block
// of 256 units. Only the last few blocks are searched: older ones are nearly full.
class UnitAllocator {
 public:
  // The units 0 (the root) and 1 (the dead end) and the base 0 are never given out.
  UnitAllocator() {
    OpenBlock();
    unit_used_[0] = unit_used_[1] = true;
    base_used_[0] = true;
    free_units_[0] -= 2;
  }

  size_t unit_count() const { return unit_used_.size(); }

  // A base that no one has, with all its children's units free; they are taken.
  // REQUIRES: `labels` are different and not empty.
  uint32_t Allocate(std::span<const uint8_t> labels) {
    for (uint32_t block = first_open_;; ++block) {
      if (block == free_units_.size()) OpenBlock();
      if (free_units_[block] < labels.size()) continue;
      for (uint32_t unit = block * kBlockUnits; unit < (block + 1) * kBlockUnits; ++unit) {
        const uint32_t base = unit ^ labels[0];
        if (!unit_used_[unit] && Fits(base, labels)) return Take(block, base, labels);
      }
    }
  }

 private:
  static constexpr uint32_t kOpenBlocks = 8;

  void OpenBlock() {
    unit_used_.resize(unit_used_.size() + kBlockUnits, 0);
    base_used_.resize(base_used_.size() + kBlockUnits, 0);
    free_units_.push_back(kBlockUnits);
    const auto blocks = static_cast<uint32_t>(free_units_.size());
    first_open_ = std::max(first_open_, blocks - std::min(blocks, kOpenBlocks));
    while (free_units_[first_open_] == 0) ++first_open_;
  }

  bool Fits(uint32_t base, std::span<const uint8_t> labels) const {
    return !base_used_[base] && std::all_of(labels.begin(), labels.end(), [&](uint8_t label) {
      return !unit_used_[base ^ label];
    });
  }

  uint32_t Take(uint32_t block, uint32_t base, std::span<const uint8_t> labels) {
    base_used_[base] = 1;
    for (const uint8_t label : labels) unit_used_[base ^ label] = 1;
    free_units_[block] -= static_cast<uint32_t>(labels.size());
    return base;
  }

  std::vector<uint8_t> unit_used_;
  std::vector<uint8_t> base_used_;
  std::vector<uint32_t> free_units_;  // of each block
  uint32_t first_open_ = 0;
};

}  // namespace

uint32_t TokenTrie::Builder::Extend(uint32_t node, std::string_view bytes) {
  for (const char character : bytes) {
    const auto label = static_cast<uint8_t>(character);
    uint32_t* const first = node == 0 ? &first_children_[label] : &nodes_[node].child;
    uint32_t child = *first;
    while (child != 0 && nodes_[child].label != label) child = nodes_[child].sibling;
    if (child == 0) {
      child = static_cast<uint32_t>(nodes_.size());
      const uint32_t sibling = node == 0 ? 0 : *first;
      *first = child;
      nodes_.push_back({.sibling = sibling, .parent = node, .label = label});
    }
    node = child;
  }
  return node;
}

uint32_t TokenTrie::Builder::LongestPrefix(uint32_t node) const {
  do {
    node = nodes_[node].parent;
  } while (node != 0 && nodes_[node].token == kNoToken);
  return node == 0 ? kNoToken : nodes_[node].token;
}

TokenTrie::TokenTrie(const Builder& builder)
    : byte_jumps_(256), ascii_jumps_(size_t{128} * 128), character_jumps_(65536) {
  Place(builder);
  FillJumps();
}

// Depth first: the units of one token's bytes come to lie near each other.
void TokenTrie::Place(const Builder& builder) {
  struct Pending {
    uint32_t node;
    uint32_t unit;
  };
  UnitAllocator allocator;
  std::vector<Pending> pending = {{0, 0}};
  std::vector<uint32_t> children;
  std::vector<uint8_t> labels;
  const auto unit_of = [&builder](uint32_t node) {
    const Builder::Node& n = builder.nodes_[node];
    return n.label | kUsed | uint64_t{n.token} << 9;
  };
  std::vector<uint64_t> units(allocator.unit_count());
  units[kDeadEnd] = uint64_t{kNoToken} << 9;
  while (!pending.empty()) {
    const auto [node, unit] = pending.back();
    pending.pop_back();
    children.clear();
    labels.clear();
    if (node == 0) {
      for (const uint32_t child : builder.first_children_) {
        if (child != 0) children.push_back(child);
      }
    } else {
      for (uint32_t c = builder.nodes_[node].child; c != 0; c = builder.nodes_[c].sibling) {
        children.push_back(c);
      }
    }
    if (children.empty()) continue;
    for (const uint32_t child : children) labels.push_back(builder.nodes_[child].label);
    const uint32_t base = allocator.Allocate(labels);
    units.resize(allocator.unit_count());
    units[unit] |= uint64_t{base} << 32;
    for (size_t i = 0; i < children.size(); ++i) {
      units[base ^ labels[i]] = unit_of(children[i]);
      pending.push_back({children[i], base ^ labels[i]});
    }
  }
  units_.assign(units.begin(), units.end());
}

TokenTrie::Jump TokenTrie::Walk(std::string_view bytes) const {
  Jump jump = {0, kNoToken, 0};
  for (size_t i = 0; i < bytes.size(); ++i) {
    const auto label = static_cast<uint8_t>(bytes[i]);
    const uint32_t next = BaseOf(units_[jump.unit]) ^ label;
    if ((units_[next] & kLabelMask) != (label | kUsed)) return {kDeadEnd, jump.token, jump.length};
    jump.unit = next;
    if (TokenOf(units_[next]) == kNoToken) continue;
    jump.token = TokenOf(units_[next]);
    jump.length = static_cast<uint8_t>(i + 1);
  }
  return jump;
}

void TokenTrie::FillJumps() {
  for (uint32_t first = 0; first < 256; ++first) {
    const char bytes[2] = {static_cast<char>(first), 0};
    byte_jumps_[first] = Walk({bytes, 1});
  }
  for (uint32_t first = 0; first < 128; ++first) {
    for (uint32_t second = 0; second < 128; ++second) {
      const char bytes[2] = {static_cast<char>(first), static_cast<char>(second)};
      ascii_jumps_[first * 128 + second] = Walk({bytes, 2});
    }
  }
  std::string character;
  for (char32_t codepoint = 0x80; codepoint <= 0xFFFF; ++codepoint) {
    character.clear();
    AppendUtf8(codepoint, &character);
    character_jumps_[codepoint] = Walk(character);
  }
}

}  // namespace vallm::tokenizer
