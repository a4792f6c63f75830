#include "tokenizer_service/output/detokenizer.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "tokenizer_service/bpe/token_table.h"

namespace vallm::tokenizer {

Detokenizer::Detokenizer(const TokenTable& tokens, DetokenizerOptions options)
    : tokens_(tokens), options_(std::move(options)) {}

bool Detokenizer::HasText(int32_t id) const {
  if (!options_.skip_special_tokens || !tokens_.IsSpecial(id)) return true;
  return std::find(options_.kept_ids.begin(), options_.kept_ids.end(), id) !=
         options_.kept_ids.end();
}

Detokenizer::Extent Detokenizer::Append(int32_t id, std::string* text) {
  Extent extent{text->size(), text->size()};
  const std::string_view bytes = HasText(id) ? tokens_.TokenBytes(id) : std::string_view();
  if (bytes.empty()) return extent;
  extent.begin += assembler_.Append(bytes, text);
  extent.end = text->size() + (assembler_.holds() ? 1 : 0);
  return extent;
}

void Detokenizer::Flush(std::string* text) { assembler_.Flush(text); }

std::string Decode(const TokenTable& tokens, std::span<const int32_t> ids,
                   bool skip_special_tokens) {
  Detokenizer detokenizer(tokens, {.skip_special_tokens = skip_special_tokens, .kept_ids = {}});
  std::string text;
  for (const int32_t id : ids) detokenizer.Append(id, &text);
  detokenizer.Flush(&text);
  return text;
}

}  // namespace vallm::tokenizer
