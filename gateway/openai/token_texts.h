// The bytes behind token ids, as the tokenizer service has given them: what log-probabilities show
// and answers are parsed with. Immutable, thread-safe.
#ifndef VALLM_GATEWAY_OPENAI_TOKEN_TEXTS_H_
#define VALLM_GATEWAY_OPENAI_TOKEN_TEXTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer_service/bpe/token_table.h"

namespace vallm::gateway {

class TokenTexts final : public tokenizer::TokenTable {
 public:
  // The bytes of ids 0, 1, …, empty for those that the tokenizer does not know; special ids ascend.
  explicit TokenTexts(std::vector<std::string> bytes, std::vector<int32_t> special_ids = {});

  std::string_view TokenBytes(int32_t id) const override {
    const auto index = static_cast<size_t>(id);
    return id >= 0 && index < bytes_.size() ? bytes_[index] : std::string_view();
  }
  bool IsSpecial(int32_t id) const override;
  std::optional<int32_t> TokenId(std::string_view content) const override;

 private:
  const std::vector<std::string> bytes_;
  const std::vector<int32_t> special_ids_;
  std::vector<int32_t> by_bytes_;  // the ids that have bytes, in the order of these
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_OPENAI_TOKEN_TEXTS_H_
