#include "tokenizer_service/output/utf8_assembler.h"

#include <utility>

#include "tokenizer_service/bpe/utf8.h"

namespace vallm::tokenizer {

size_t Utf8Assembler::Append(std::string_view bytes, std::string* text) {
  if (bytes.empty()) return 0;
  std::string joined;
  size_t own = 0;
  if (!held_.empty()) {
    const size_t held = held_.size();
    joined = std::move(held_);
    joined += bytes;
    bytes = joined;
    const Utf8Step step = DecodeUtf8(bytes);
    if (step.kind == Utf8Kind::kInvalid && step.length == held) own = kReplacementCharacter.size();
  }
  const size_t suffix = IncompleteUtf8Suffix(bytes);
  const std::string_view whole = bytes.substr(0, bytes.size() - suffix);
  held_.assign(bytes.substr(whole.size()));
  if (FirstInvalidUtf8(whole)) {
    *text += ReplaceInvalidUtf8(whole);
  } else {
    *text += whole;
  }
  return own;
}

void Utf8Assembler::Flush(std::string* text) {
  if (!held_.empty()) *text += ReplaceInvalidUtf8(held_);
  held_.clear();
}

}  // namespace vallm::tokenizer
