// One bit per token id: set when the token may come next.
#ifndef VALLM_ENGINE_SERVICE_CONSTRAINT_TOKEN_MASK_H_
#define VALLM_ENGINE_SERVICE_CONSTRAINT_TOKEN_MASK_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace vallm::engine {

// The words of a mask of `size` tokens: token t is bit t % 32 of word t / 32.
constexpr size_t MaskWords(int size) { return (static_cast<size_t>(size) + 31) / 32; }

class TokenMask {
 public:
  TokenMask() = default;
  explicit TokenMask(int size) : words_(MaskWords(size)) {}

  void Set(int32_t id) { words_[static_cast<size_t>(id) / 32] |= uint32_t{1} << (id % 32); }
  bool Test(int32_t id) const { return (words_[static_cast<size_t>(id) / 32] >> (id % 32)) & 1; }
  void Or(const TokenMask& other) {
    for (size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
  }
  bool Any() const {
    return std::any_of(words_.begin(), words_.end(), [](uint32_t w) { return w != 0; });
  }
  std::span<const uint32_t> words() const { return words_; }

 private:
  std::vector<uint32_t> words_;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_CONSTRAINT_TOKEN_MASK_H_
