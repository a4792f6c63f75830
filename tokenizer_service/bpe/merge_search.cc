#include "tokenizer_service/bpe/merge_search.h"

#include <algorithm>
#include <utility>

namespace vallm::tokenizer {
namespace {

constexpr uint32_t kNotMade = UINT32_MAX;

}  // namespace

inline bool MergeSearch::IsBorder(const Tokens& tokens, const PairTable& pairs, uint32_t left,
                                  uint32_t right, bool longest, uint32_t limit) {
  // The merges that end the two nodes at the border by making them a part of something longer.
  uint32_t left_end = limit;
  uint32_t right_end = limit;
  while (true) {
    const uint32_t rank = longest ? PairTable::kNoRank : pairs.Find(left, right);
    // Of merges of one rank the leftmost comes first.
    if (rank != PairTable::kNoRank && rank + kBytes < left_end && rank + kBytes <= right_end) {
      return false;
    }
    if (left > right) {
      left_end = left;
      left = tokens[left].right;
      if (left == left_end) return true;
      longest = false;
    } else {
      right_end = right;
      right = tokens[right].left;
      if (right == right_end) return true;
    }
  }
}

MergeSearch::MergeSearch(Plan* plan)
    : tokens_(std::move(plan->tokens)), pairs_(std::move(plan->pairs)), trie_(plan->trie) {}

std::optional<MergeSearch::Plan> MergeSearch::MakePlan(const std::array<int32_t, 256>& byte_ids,
                                                       const std::vector<Merges::Merge>& merges,
                                                       const Vocab& vocab) {
  const auto id_count = static_cast<size_t>(vocab.size());
  const size_t token_count = kBytes + merges.size();
  std::vector<uint32_t> token_of(id_count, kNotMade);
  Tokens tokens;
  tokens.reserve(token_count);
  const auto make = [&](int32_t id, uint32_t left, uint32_t right) {
    uint32_t& token = token_of[static_cast<size_t>(id)];
    if (token != kNotMade || vocab.Bytes(id).size() > kMaxTokenBytes) return false;
    token = static_cast<uint32_t>(tokens.size());
    tokens.push_back({left, right, kNoToken, 0, id, 0, 0});
    return true;
  };
  for (uint32_t byte = 0; byte < kBytes; ++byte) {
    if (!make(byte_ids[byte], byte, byte)) return std::nullopt;
  }
  PairTable pairs(merges.size());
  std::vector<uint64_t> joined_bytes(token_count, 0);  // that the merges so far join to the token
  for (const Merges::Merge& merge : merges) {
    const uint32_t left = token_of[static_cast<size_t>(merge.left)];
    const uint32_t right = token_of[static_cast<size_t>(merge.right)];
    if (left == kNotMade || right == kNotMade) return std::nullopt;
    pairs.Set(left, right, static_cast<uint32_t>(tokens.size()) - kBytes);
    if (!make(merge.joined, left, right)) return std::nullopt;
    // A part takes along what the merges so far join to it; of merges of one rank, here of the part
    // with itself, the leftmost comes first.
    Token& token = tokens.back();
    token.next_bytes = tokens[right].next_bytes | joined_bytes[right];
    joined_bytes[left] |= ByteBit(vocab.Bytes(merge.right).front());
    tokens[right].previous_bytes |= ByteBit(vocab.Bytes(merge.left).back());
    token.previous_bytes = tokens[left].previous_bytes;
  }

  TokenTrie::Builder trie(token_count);
  std::vector<uint32_t> nodes(token_count, 0);  // 0: the token is not reachable
  std::vector<uint8_t> reachable(id_count, 0);
  for (uint32_t token = 0; token < token_count; ++token) {
    const uint32_t left = tokens[token].left;
    const uint32_t right = tokens[token].right;
    if (token < kBytes) {
      const char byte = static_cast<char>(token);
      nodes[token] = trie.Extend(0, {&byte, 1});
    } else if (nodes[left] != 0 && nodes[right] != 0 &&
               IsBorder(tokens, pairs, left, right, /*longest=*/false, token)) {
      nodes[token] = trie.Extend(nodes[left], vocab.Bytes(tokens[right].id));
    } else {
      continue;
    }
    trie.SetToken(nodes[token], token);
    reachable[static_cast<size_t>(tokens[token].id)] = 1;
  }
  for (uint32_t token = 0; token < token_count; ++token) {
    if (nodes[token] == 0) continue;
    const uint32_t prefix = trie.LongestPrefix(nodes[token]);
    if (prefix == kNoToken) continue;
    tokens[token].prefix = prefix;
    tokens[token].prefix_length = static_cast<uint32_t>(vocab.Bytes(tokens[prefix].id).size());
  }
  return Plan{std::move(tokens), std::move(pairs), std::move(trie), std::move(reachable)};
}

size_t MergeSearch::Search(std::string_view piece, Match* row, uint64_t* dead) const {
  const char* const text = piece.data();
  const char* const end = text + piece.size();
  size_t count = 0;
  size_t offset = 0;
  Match match = LongestAt(text, end);
  while (true) {
    const size_t next = offset + match.length;
    const bool is_dead = (dead[next / 64] >> (next % 64) & 1) != 0;
    if (!is_dead && (count == 0 || IsBorder(row[count - 1], match, text + offset))) {
      row[count++] = match;
      offset = next;
      if (offset == piece.size()) return count;
      match = LongestAt(text + offset, end);
      continue;
    }
    const Token& token = tokens_[match.token];
    if (token.prefix != kNoToken) {
      match = {token.prefix, token.prefix_length, 0};
      continue;
    }
    // The token before cannot be right. It is taken up again only to be cut short.
    dead[offset / 64] |= uint64_t{1} << (offset % 64);
    match = row[--count];
    offset -= match.length;
  }
}

void MergeSearch::Apply(std::string_view piece, std::vector<int32_t>* ids) const {
  constexpr size_t kShort = 255;
  Match short_row[kShort];
  uint64_t short_dead[kShort / 64 + 1];
  std::vector<Match> long_row;
  std::vector<uint64_t> long_dead;
  Match* row = short_row;
  uint64_t* dead = short_dead;
  if (piece.size() <= kShort) {
    std::fill_n(dead, piece.size() / 64 + 1, 0);
  } else {
    long_row.resize(piece.size());
    long_dead.resize(piece.size() / 64 + 1);
    row = long_row.data();
    dead = long_dead.data();
  }
  const size_t count = Search(piece, row, dead);
  const size_t before = ids->size();
  ids->resize(before + count);
  std::transform(row, row + count, ids->begin() + static_cast<ptrdiff_t>(before),
                 [this](const Match& match) { return tokens_[match.token].id; });
}

}  // namespace vallm::tokenizer
