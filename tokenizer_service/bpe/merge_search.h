// Byte-pair merging without merging: finds the tokens of a piece of text by searching for a row of
// tokens across whose borders nothing would have been merged. It takes time linear in the piece
// where the merges themselves (merges.h, whose ids it gives exactly) take n log n.
//
// Why it is exact. Let the merges be well-formed: every token is made by one merge, which comes
// after those that made its two parts. Two tokens are neighbours in an encoding exactly if, with
// both taken apart in the reverse order of their making, no two nodes that met at the border had a
// merge of their own that came first. A row of tokens is the encoding of its text exactly if all
// neighbours in it are such a pair. So there is one such row, and one way to reach each offset: the
// search, which tries the longest token first, never visits an offset again that led nowhere.
#ifndef VALLM_TOKENIZER_SERVICE_BPE_MERGE_SEARCH_H_
#define VALLM_TOKENIZER_SERVICE_BPE_MERGE_SEARCH_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "tokenizer_service/bpe/merges.h"
#include "tokenizer_service/bpe/pair_table.h"
#include "tokenizer_service/bpe/token_trie.h"
#include "tokenizer_service/bpe/vocab.h"

namespace vallm::tokenizer {

// Immutable, thread-safe.
class MergeSearch {
 public:
  struct Plan;

  // What a search is built from. nullopt if the merges are not well-formed, two bytes have one id
  // or a token has more than kMaxTokenBytes bytes. The arguments are those of Merges; `vocab` has
  // the bytes of all ids.
  static std::optional<Plan> MakePlan(const std::array<int32_t, 256>& byte_ids,
                                      const std::vector<Merges::Merge>& merges, const Vocab& vocab);
  // Takes the tables of `plan`, but leaves what it says of ids.
  explicit MergeSearch(Plan* plan);

  // Appends the ids of `piece`. REQUIRES: `piece` is valid UTF-8 and not empty.
  void Apply(std::string_view piece, std::vector<int32_t>* ids) const;

 private:
  // Tokens are numbered as they are made: 0..255 the bytes, 256 + r by the merge of rank r.
  static constexpr uint32_t kNoToken = TokenTrie::kNoToken;
  static constexpr uint32_t kMaxTokenBytes = 1023;
  static constexpr uint32_t kBytes = 256;
  static constexpr uint32_t kNoLimit = UINT32_MAX;

  // Half a cache line: what a search wants of a token comes with one access to memory.
  struct Token {
    uint32_t left;  // what its merge joined; the token itself if it is a byte
    uint32_t right;
    // The longest reachable token that is a proper prefix, or kNoToken, and its bytes.
    uint32_t prefix : 22;
    uint32_t prefix_length : 10;
    int32_t id;
    // The bytes, by ByteBit, that may come next where a merge joins what follows to a part at the
    // end of this token before that part goes into it.
    uint64_t next_bytes;
    // The bytes that may stand before where a merge joins them to this token, or to a part at its
    // beginning before that goes into it.
    uint64_t previous_bytes;
  };
  // A token at a place in the text.
  struct Match {
    uint32_t token;
    uint32_t length : 31;  // bytes
    uint32_t longest : 1;  // no longer token stands there
  };

  using Tokens = std::vector<Token, HugePageAllocator<Token>>;

  // A bit for each 64th of the bytes.
  static uint64_t ByteBit(char byte) { return uint64_t{1} << (static_cast<uint8_t>(byte) % 64); }

  // Whether merges before the one that makes `limit` leave a border between `left` and `right`.
  // `longest`: no token is known to be `left` with some of what follows.
  static bool IsBorder(const Tokens& tokens, const PairTable& pairs, uint32_t left, uint32_t right,
                       bool longest, uint32_t limit);
  // Whether there is a border at `border` between `left` and `right`. Most often the bytes beside
  // it settle that.
  bool IsBorder(const Match& left, const Match& right, const char* border) const {
    const bool longest = left.longest != 0;
    if (longest && (tokens_[left.token].next_bytes & ByteBit(border[0])) == 0) return true;
    if ((tokens_[right.token].previous_bytes & ByteBit(border[-1])) == 0) return true;
    return IsBorder(tokens_, pairs_, left.token, right.token, longest, kNoLimit);
  }

  Match LongestAt(const char* begin, const char* end) const {
    const TokenTrie::Match match = trie_.Longest(begin, end);
    return {match.token, match.length, 1};
  }
  // Writes the tokens of `piece` to `row`, which has room for one per byte, and returns their
  // number. `dead` has a zeroed bit for every offset.
  size_t Search(std::string_view piece, Match* row, uint64_t* dead) const;

  Tokens tokens_;
  PairTable pairs_;
  TokenTrie trie_;
};

struct MergeSearch::Plan {
  Tokens tokens;
  PairTable pairs;
  TokenTrie::Builder trie;
  std::vector<uint8_t> reachable;  // [highest id + 1] whether an id is what its own bytes become
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_BPE_MERGE_SEARCH_H_
