#include "gateway/openai/token_texts.h"

#include <algorithm>
#include <utility>

namespace vallm::gateway {

TokenTexts::TokenTexts(std::vector<std::string> bytes, std::vector<int32_t> special_ids)
    : bytes_(std::move(bytes)), special_ids_(std::move(special_ids)) {
  for (size_t id = 0; id < bytes_.size(); ++id) {
    if (!bytes_[id].empty()) by_bytes_.push_back(static_cast<int32_t>(id));
  }
  std::stable_sort(by_bytes_.begin(), by_bytes_.end(),
                   [this](int32_t a, int32_t b) { return TokenBytes(a) < TokenBytes(b); });
}

bool TokenTexts::IsSpecial(int32_t id) const {
  return std::binary_search(special_ids_.begin(), special_ids_.end(), id);
}

std::optional<int32_t> TokenTexts::TokenId(std::string_view content) const {
  const auto found = std::lower_bound(
      by_bytes_.begin(), by_bytes_.end(), content,
      [this](int32_t id, std::string_view bytes) { return TokenBytes(id) < bytes; });
  if (found == by_bytes_.end() || TokenBytes(*found) != content) return std::nullopt;
  return *found;
}

}  // namespace vallm::gateway
