// The bytes behind token ids, for log-probabilities. Immutable, thread-safe.
#ifndef VALLM_GATEWAY_OPENAI_TOKEN_TEXTS_H_
#define VALLM_GATEWAY_OPENAI_TOKEN_TEXTS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vallm::gateway {

class TokenTexts {
 public:
  // The bytes of ids 0, 1, …
  explicit TokenTexts(std::vector<std::string> bytes) : bytes_(std::move(bytes)) {}

  // Empty for ids that the tokenizer does not know.
  std::string_view BytesOf(int32_t token_id) const {
    const auto index = static_cast<size_t>(token_id);
    return token_id >= 0 && index < bytes_.size() ? bytes_[index] : std::string_view();
  }

 private:
  const std::vector<std::string> bytes_;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_OPENAI_TOKEN_TEXTS_H_
