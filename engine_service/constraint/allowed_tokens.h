// One bit per token id: set when the token may come next.
#ifndef VALLM_ENGINE_SERVICE_CONSTRAINT_ALLOWED_TOKENS_H_
#define VALLM_ENGINE_SERVICE_CONSTRAINT_ALLOWED_TOKENS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace vallm::engine {

// The words of a mask of `size` tokens: token t is bit t % 64 of word t / 64, as the
// sampler's TokenMask has it.
constexpr size_t MaskWords(int size) { return (static_cast<size_t>(size) + 63) / 64; }

class AllowedTokens {
 public:
  AllowedTokens() = default;
  explicit AllowedTokens(int size) : words_(MaskWords(size)) {}

  void Set(int32_t id) { words_[static_cast<size_t>(id) / 64] |= uint64_t{1} << (id % 64); }
  bool Test(int32_t id) const { return (words_[static_cast<size_t>(id) / 64] >> (id % 64)) & 1; }
  void Or(const AllowedTokens& other) {
    for (size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
  }
  bool Any() const {
    return std::any_of(words_.begin(), words_.end(), [](uint64_t w) { return w != 0; });
  }
  std::span<const uint64_t> words() const { return words_; }

 private:
  std::vector<uint64_t> words_;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_CONSTRAINT_ALLOWED_TOKENS_H_
