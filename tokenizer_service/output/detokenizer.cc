#include "tokenizer_service/output/detokenizer.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "tokenizer_service/bpe/tokenizer.h"

namespace vallm::tokenizer {

Detokenizer::Detokenizer(const Tokenizer& tokenizer, DetokenizerOptions options)
    : tokenizer_(tokenizer), options_(std::move(options)) {}

bool Detokenizer::HasText(int32_t id) const {
  if (!options_.skip_special_tokens || !tokenizer_.IsSpecial(id)) return true;
  return std::find(options_.kept_ids.begin(), options_.kept_ids.end(), id) !=
         options_.kept_ids.end();
}

bool Detokenizer::Append(int32_t id, std::string* text) {
  if (!HasText(id)) return false;
  const std::string_view bytes = tokenizer_.TokenBytes(id);
  assembler_.Append(bytes, text);
  return !bytes.empty();
}

void Detokenizer::Flush(std::string* text) { assembler_.Flush(text); }

std::string Decode(const Tokenizer& tokenizer, std::span<const int32_t> ids,
                   bool skip_special_tokens) {
  Detokenizer detokenizer(tokenizer, {.skip_special_tokens = skip_special_tokens, .kept_ids = {}});
  std::string text;
  for (const int32_t id : ids) detokenizer.Append(id, &text);
  detokenizer.Flush(&text);
  return text;
}

}  // namespace vallm::tokenizer
