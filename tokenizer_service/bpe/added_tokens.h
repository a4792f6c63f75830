// Finds added tokens ("<|im_start|>") in text, with the flags that tokenizer.json gives them.
#ifndef VALLM_TOKENIZER_SERVICE_BPE_ADDED_TOKENS_H_
#define VALLM_TOKENIZER_SERVICE_BPE_ADDED_TOKENS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "tokenizer_service/bpe/tokenizer_json.h"

namespace vallm::tokenizer {

// Immutable, thread-safe.
class AddedTokenMatcher {
 public:
  // A place where a token stands, with the white space that lstrip and rstrip take along.
  struct Match {
    size_t begin;
    size_t end;
    size_t content_end;  // where the token's own text ends: what is to be searched from next
    int32_t id;
  };

  explicit AddedTokenMatcher(std::vector<AddedToken> tokens);

  bool empty() const { return tokens_.empty(); }

  // The leftmost token that begins at or after `from`; of those that begin at one place the
  // longest. lstrip takes nothing before `strip_limit`, single_word sees all of `text`. White space
  // that rstrip took may belong to the next token too: then that begins before the former's end.
  // REQUIRES: `text` is valid UTF-8.
  std::optional<Match> Find(std::string_view text, size_t from, size_t strip_limit) const;

 private:
  // The next offset at or after `from` whose byte begins some token; text.size() if there is none.
  size_t NextCandidate(std::string_view text, size_t from) const;
  // The longest token at `offset`, or nullptr.
  const AddedToken* LongestAt(std::string_view text, size_t offset) const;

  std::vector<AddedToken> tokens_;  // by first byte, then longest first
  std::array<std::pair<uint32_t, uint32_t>, 256>
      ranges_;                // tokens_ of each first byte, [begin, end)
  int only_first_byte_ = -1;  // the first byte of all tokens if it is the same, else -1
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_BPE_ADDED_TOKENS_H_
