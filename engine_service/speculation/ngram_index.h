// Where the last tokens of a text occurred in it before: an index that grows token by token.
//
// Like the dictionary of LZ77: every position is chained to the one before it whose last
// `min_length` tokens are the same. Finding a match walks the chain from the latest occurrence back
// and compares at most `max_length` tokens at each of at most kMaxCandidates places, so that its
// cost does not grow with the text.
//
// Pure; not thread-safe. Memory: the tokens, and 20 to 40 bytes for each.
#ifndef VALLM_ENGINE_SERVICE_SPECULATION_NGRAM_INDEX_H_
#define VALLM_ENGINE_SERVICE_SPECULATION_NGRAM_INDEX_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace vallm::engine {

class NgramIndex {
 public:
  // Tokens [end - length, end) are the last `length` tokens, and end is before their own.
  struct Match {
    int32_t end;
    int32_t length;

    bool operator==(const Match&) const = default;
  };
  static constexpr int kMaxCandidates = 128;

  // REQUIRES (CHECKed): 1 <= min_length <= max_length.
  NgramIndex(int32_t min_length, int32_t max_length);

  void Reserve(size_t token_count);
  void Append(int32_t token_id);

  // The longest match of at most max_length tokens among the kMaxCandidates latest occurrences of
  // the last min_length tokens, the latest one of those; nothing if they occur nowhere else.
  std::optional<Match> LongestMatch() const;

  std::span<const int32_t> tokens() const { return tokens_; }

 private:
  uint64_t KeyOfLast() const;
  int32_t CommonSuffix(int32_t end) const;

  const int32_t min_length_;
  const int32_t max_length_;
  std::vector<int32_t> tokens_;
  std::vector<int32_t> previous_;  // [tokens] the occurrence before that ends in the token, or -1
  absl::flat_hash_map<uint64_t, int32_t> latest_;  // key of min_length tokens -> their last one
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_SPECULATION_NGRAM_INDEX_H_
