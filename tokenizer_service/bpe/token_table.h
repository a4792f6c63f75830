// What turning ids into text needs to know of a vocabulary. A Tokenizer has it; so has a client of
// the tokenizer service that has been told the bytes of every token.
#ifndef VALLM_TOKENIZER_SERVICE_BPE_TOKEN_TABLE_H_
#define VALLM_TOKENIZER_SERVICE_BPE_TOKEN_TABLE_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace vallm::tokenizer {

// Immutable, thread-safe.
class TokenTable {
 public:
  virtual ~TokenTable() = default;

  // The bytes that `id` stands for, which may be a part of a character; empty for ids that the
  // vocabulary does not have (padding rows of the embedding, negative ids). Lives as long as *this.
  virtual std::string_view TokenBytes(int32_t id) const = 0;

  // Whether `id` is an added token marked special: what skip_special_tokens leaves out.
  virtual bool IsSpecial(int32_t id) const = 0;

  // The id of an added token by its text, or of a vocabulary entry by its bytes.
  virtual std::optional<int32_t> TokenId(std::string_view content) const = 0;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_BPE_TOKEN_TABLE_H_
