#include "tokenizer_service/bpe/token_trie.h"

#include <algorithm>
#include <bit>
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
  // The unit 0 (the root) and the base 0 are never given out.
  UnitAllocator() {
    OpenBlock();
    units_used_[0] = 1;
    bases_used_[0] = 1;
  }

  size_t unit_count() const { return units_used_.size() * 64; }

  // A base that no one has, with all its children's units free; they are taken.
  // REQUIRES: `labels` are different and not empty.
  uint32_t Allocate(std::span<const uint8_t> labels) {
    for (size_t word = first_open_word_;; ++word) {
      if (word == units_used_.size()) OpenBlock();
      for (uint64_t free = ~units_used_[word]; free != 0; free &= free - 1) {
        const auto unit =
            static_cast<uint32_t>(word * 64 + static_cast<size_t>(std::countr_zero(free)));
        const uint32_t base = unit ^ labels[0];
        if (!Fits(base, labels)) continue;
        Set(&bases_used_, base);
        for (const uint8_t label : labels) Set(&units_used_, base ^ label);
        return base;
      }
    }
  }

 private:
  static constexpr size_t kWordsPerBlock = kBlockUnits / 64;
  static constexpr size_t kOpenWords = 2 * kWordsPerBlock;

  static bool Has(const std::vector<uint64_t>& bits, uint32_t i) {
    return (bits[i / 64] >> (i % 64) & 1) != 0;
  }
  static void Set(std::vector<uint64_t>* bits, uint32_t i) {
    (*bits)[i / 64] |= uint64_t{1} << (i % 64);
  }
  void OpenBlock() {
    units_used_.resize(units_used_.size() + kWordsPerBlock, 0);
    bases_used_.resize(units_used_.size(), 0);
    first_open_word_ = units_used_.size() - std::min(units_used_.size(), kOpenWords);
  }
  bool Fits(uint32_t base, std::span<const uint8_t> labels) const {
    return !Has(bases_used_, base) && std::all_of(labels.begin(), labels.end(), [&](uint8_t label) {
      return !Has(units_used_, base ^ label);
    });
  }

  std::vector<uint64_t> units_used_;  // a bit each
  std::vector<uint64_t> bases_used_;
  size_t first_open_word_ = 0;
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
  Jump jump = {BaseOf(units_[0]), kNoToken, 0};
  for (size_t i = 0; i < bytes.size(); ++i) {
    const auto label = static_cast<uint8_t>(bytes[i]);
    const uint64_t unit = units_[jump.base ^ label];
    if ((unit & kLabelMask) != (label | kUsed)) return {0, jump.token, jump.length};
    jump.base = BaseOf(unit);
    if (TokenOf(unit) == kNoToken) continue;
    jump.token = TokenOf(unit);
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
