#include "tools/bench/word_bag.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace vallm::tools {
namespace {

constexpr size_t kFewestWords = 100;

bool IsOneToken(const tokenizer::Tokenizer& tokenizer, std::string_view text, int32_t id) {
  const auto ids = tokenizer.Encode(text);
  return ids.ok() && ids->size() == 1 && ids->front() == id;
}

}  // namespace

absl::StatusOr<WordBag> WordBag::Collect(const tokenizer::Tokenizer& tokenizer) {
  WordBag bag;
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    if (tokenizer.IsAdded(id)) continue;
    std::string_view word = tokenizer.TokenBytes(id);
    const std::string_view whole = word;
    const bool spaced = word.starts_with(' ');
    if (spaced) word.remove_prefix(1);
    if (word.size() < 2 || !std::all_of(word.begin(), word.end(), [](char c) {
          return absl::ascii_isalpha(static_cast<unsigned char>(c));
        })) {
      continue;
    }
    if (!IsOneToken(tokenizer, whole, id)) continue;
    (spaced ? bag.words_ : bag.first_).emplace_back(whole);
  }
  if (bag.words_.size() < kFewestWords || bag.first_.empty()) {
    return absl::UnimplementedError(absl::StrCat("the vocabulary has ", bag.words_.size(),
                                                 " words that are one token; random prompts need ",
                                                 kFewestWords));
  }
  return bag;
}

std::string WordBag::Draw(int64_t count, bool at_start, std::mt19937_64& random) const {
  std::string text;
  for (int64_t i = 0; i < count; ++i) {
    const std::vector<std::string>& words = at_start && i == 0 ? first_ : words_;
    text += words[std::uniform_int_distribution<size_t>(0, words.size() - 1)(random)];
  }
  return text;
}

}  // namespace vallm::tools
