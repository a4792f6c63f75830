#include "tests/fuzz/tokenizer_laws.h"

#include <string>
#include <vector>

#include "tests/fuzz/require.h"
#include "tokenizer_service/bpe/nfc.h"
#include "tokenizer_service/bpe/unicode_table.h"
#include "tokenizer_service/bpe/utf8.h"
#include "tokenizer_service/output/detokenizer.h"

namespace vallm::tokenizer {
namespace {

std::string Nfc(std::string_view text) {
  std::string storage;
  return std::string(ToNfc(text, &storage));
}

std::string WithoutSpace(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Utf8Step step = DecodeUtf8(text);
    const CharClass cls = UnicodeTable::Get().ClassOf(step.codepoint);
    if (cls != CharClass::kSpace && cls != CharClass::kNewline) out += text.substr(0, step.length);
    text.remove_prefix(step.length);
  }
  return out;
}

std::string BytesOf(const Tokenizer& tokenizer, std::span<const int32_t> ids) {
  std::string bytes;
  for (const int32_t id : ids) bytes += tokenizer.TokenBytes(id);
  return bytes;
}

bool HasBytes(const Tokenizer& tokenizer, std::span<const int32_t> ids) {
  for (const int32_t id : ids) {
    if (tokenizer.TokenBytes(id).empty()) return false;
  }
  return true;
}

void CheckSpecial(const Tokenizer& tokenizer, const TokenizerTraits& traits,
                  std::string_view text) {
  const auto ids = tokenizer.Encode(text);
  Require(ids.ok(), "special tokens refuse nothing");
  Require(HasBytes(tokenizer, *ids), "every id has bytes");
  const std::string bytes = BytesOf(tokenizer, *ids);
  if (traits.strips_space) {
    // Without white space, which a token may have taken along, the texts are the same.
    Require(!traits.nfc || Nfc(WithoutSpace(bytes)) == Nfc(WithoutSpace(text)),
            "with strips: the same text but for white space");
    Require(traits.nfc || WithoutSpace(bytes) == WithoutSpace(text),
            "with strips, not normalised: the same text but for white space");
  } else if (traits.nfc) {
    // Each stretch between added tokens is normalised alone, and the tokens are not.
    Require(Nfc(bytes) == Nfc(text), "with special tokens: the same normal form");
  } else {
    Require(bytes == text, "with special tokens, not normalised: the same text");
  }
}

}  // namespace

void CheckEncode(const Tokenizer& tokenizer, const TokenizerTraits& traits, std::string_view text) {
  const auto plain = tokenizer.Encode(text, {.parse_special_tokens = false});
  Require(plain.ok() == !FirstInvalidUtf8(text).has_value(), "refuses exactly what is not UTF-8");
  if (!plain.ok()) return;
  Require(HasBytes(tokenizer, *plain), "every id has bytes");
  const std::string normal = traits.nfc ? Nfc(text) : std::string(text);
  Require(BytesOf(tokenizer, *plain) == normal, "the bytes are the normal form of the text");
  Require(Nfc(Nfc(text)) == Nfc(text), "NFC of NFC is NFC");
  const auto again = tokenizer.Encode(normal, {.parse_special_tokens = false});
  Require(again.ok() && *again == *plain, "the normal form has the same ids");
  Require(Decode(tokenizer, *plain, /*skip_special_tokens=*/false) == normal,
          "decodes to the text");
  CheckSpecial(tokenizer, traits, text);
}

void CheckDecode(const Tokenizer& tokenizer, std::span<const int32_t> ids) {
  std::vector<int32_t> plain_ids;
  for (const int32_t id : ids) {
    if (!tokenizer.IsSpecial(id)) plain_ids.push_back(id);
    const std::string_view bytes = tokenizer.TokenBytes(id);
    if (bytes.empty()) continue;
    const auto found = tokenizer.TokenId(bytes);
    Require(found && tokenizer.TokenBytes(*found) == bytes, "bytes are found again");
  }
  Require(Decode(tokenizer, ids, false) == ReplaceInvalidUtf8(BytesOf(tokenizer, ids)),
          "decodes to the characters of the bytes");
  Require(Decode(tokenizer, ids, true) == Decode(tokenizer, plain_ids, false),
          "skipping special tokens leaves them out");
}

}  // namespace vallm::tokenizer
