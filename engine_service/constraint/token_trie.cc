#include "engine_service/constraint/token_trie.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "tokenizer_service/bpe/utf8.h"

namespace vallm::engine {
namespace {

// The number of characters of `bytes`, a beginning of one at the end counted as one, if all of them
// may stand in a JSON string as they are; else 0.
int TextChars(std::string_view bytes) {
  int chars = 0;
  while (!bytes.empty()) {
    const tokenizer::Utf8Step step = tokenizer::DecodeUtf8(bytes);
    if (step.kind == tokenizer::Utf8Kind::kInvalid) return 0;
    if (step.length == 1 && step.kind == tokenizer::Utf8Kind::kCharacter &&
        !IsPlainStringByte(static_cast<uint8_t>(bytes[0]))) {
      return 0;
    }
    ++chars;
    bytes.remove_prefix(step.length);
  }
  return chars;
}

}  // namespace

void TokenTrie::Build(const std::vector<int32_t>& tokens, const std::vector<std::string>& bytes) {
  std::vector<int32_t> sorted = tokens;
  std::sort(sorted.begin(), sorted.end(), [&](int32_t a, int32_t b) {
    const int order = bytes[a].compare(bytes[b]);
    return order != 0 ? order < 0 : a < b;
  });
  std::vector<int32_t> path;  // nodes from the root to the last token
  std::string_view previous;
  for (const int32_t token : sorted) {
    const std::string_view text = bytes[token];
    const size_t common =
        std::mismatch(text.begin(), text.end(), previous.begin(), previous.end()).first -
        text.begin();
    for (size_t i = common; i < path.size(); ++i) {
      nodes_[path[i]].skip = static_cast<int32_t>(nodes_.size());
    }
    path.resize(common);
    for (size_t i = common; i < text.size(); ++i) {
      path.push_back(static_cast<int32_t>(nodes_.size()));
      nodes_.push_back({.byte = static_cast<uint8_t>(text[i]),
                        .depth = static_cast<uint16_t>(i + 1),
                        .token = -1,
                        .skip = 0});
    }
    nodes_[path.back()].token = token;
    max_depth_ = std::max(max_depth_, static_cast<int>(text.size()));
    previous = text;
  }
  for (const int32_t node : path) nodes_[node].skip = static_cast<int32_t>(nodes_.size());
}

ConstraintVocabulary::ConstraintVocabulary(std::vector<Token> tokens, int mask_size,
                                           std::vector<int32_t> eos_ids)
    : mask_size_(std::max(mask_size, static_cast<int>(tokens.size()))),
      eos_ids_(std::move(eos_ids)),
      text_masks_(kMaxTextChars, AllowedTokens(mask_size_)),
      all_text_mask_(mask_size_) {
  std::erase_if(eos_ids_, [this](int32_t id) { return id < 0 || id >= mask_size_; });
  bytes_.resize(tokens.size());
  std::unordered_map<std::string_view, int32_t> first_with;
  first_with.reserve(tokens.size());
  std::vector<int32_t> text;
  std::vector<int32_t> long_text;
  std::vector<int32_t> other;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto id = static_cast<int32_t>(i);
    if (tokens[i].bytes.empty()) continue;
    if (tokens[i].added) {
      added_.emplace(std::move(tokens[i].bytes), id);
      continue;
    }
    // A token longer than this is no word of any language, and its depth must fit the trie's nodes.
    if (tokens[i].bytes.size() > UINT16_MAX || IsEos(id)) continue;
    bytes_[i] = std::move(tokens[i].bytes);
    const auto [at, is_new] = first_with.try_emplace(bytes_[i], id);
    if (!is_new) {
      duplicates_.emplace_back(id, at->second);
      continue;
    }
    const int chars = TextChars(bytes_[i]);
    (chars == 0 ? other : chars <= kMaxTextChars ? text : long_text).push_back(id);
    if (chars > 0) all_text_mask_.Set(id);
    for (int n = chars; n > 0 && n <= kMaxTextChars; ++n) text_masks_[n - 1].Set(id);
  }
  text_trie_.Build(text, bytes_);
  long_text_trie_.Build(long_text, bytes_);
  other_trie_.Build(other, bytes_);
}

ConstraintVocabulary ConstraintVocabulary::FromTokenizer(const tokenizer::Tokenizer& tokenizer,
                                                         int mask_size,
                                                         std::vector<int32_t> eos_ids) {
  std::vector<Token> tokens(std::min(tokenizer.vocab_size(), mask_size));
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto id = static_cast<int32_t>(i);
    tokens[i] = {.bytes = std::string(tokenizer.TokenBytes(id)), .added = tokenizer.IsAdded(id)};
  }
  return ConstraintVocabulary(std::move(tokens), mask_size, std::move(eos_ids));
}

bool ConstraintVocabulary::IsEos(int32_t id) const {
  return std::find(eos_ids_.begin(), eos_ids_.end(), id) != eos_ids_.end();
}

std::string_view ConstraintVocabulary::TextOf(int32_t id) const {
  if (id < 0 || id >= static_cast<int32_t>(bytes_.size())) return {};
  return bytes_[id];
}

std::optional<int32_t> ConstraintVocabulary::AddedToken(std::string_view content) const {
  const auto at = added_.find(content);
  if (at == added_.end()) return std::nullopt;
  return at->second;
}

}  // namespace vallm::engine
