// Token ids, one after the other, to text. Decoding a whole list is the same calls and a flush, so
// a stream and a whole decode cannot differ. Not thread-safe.
#ifndef VALLM_TOKENIZER_SERVICE_OUTPUT_DETOKENIZER_H_
#define VALLM_TOKENIZER_SERVICE_OUTPUT_DETOKENIZER_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tokenizer_service/output/utf8_assembler.h"

namespace vallm::tokenizer {

class TokenTable;

struct DetokenizerOptions {
  bool skip_special_tokens = false;
  // Ids that have text although they are special and those are skipped: the tags of a parser.
  std::vector<int32_t> kept_ids;
};

class Detokenizer {
 public:
  // `tokens` must outlive the detokenizer.
  explicit Detokenizer(const TokenTable& tokens, DetokenizerOptions options = {});

  // Where the text of an id lies: bytes [begin, end) of what was appended to, none if they are
  // equal. `begin` is that of the character that the id goes on with. An id that ends inside a
  // character ends behind its first byte, which is still to come.
  struct Extent {
    size_t begin = 0;
    size_t end = 0;
  };

  // Appends to *text the characters that `id` completes. An id without text (skipped, or not in
  // the vocabulary) changes nothing: a character may go on after it.
  Extent Append(int32_t id, std::string* text);

  // The list is over: an unfinished character becomes U+FFFD.
  void Flush(std::string* text);

 private:
  bool HasText(int32_t id) const;

  const TokenTable& tokens_;
  const DetokenizerOptions options_;
  Utf8Assembler assembler_;
};

// The text of the whole list.
std::string Decode(const TokenTable& tokens, std::span<const int32_t> ids,
                   bool skip_special_tokens);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_OUTPUT_DETOKENIZER_H_
