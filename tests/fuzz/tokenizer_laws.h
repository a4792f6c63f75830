// What must hold of any tokenizer that loads and any text: shared by the fuzz targets. A law that
// does not hold ends the process (require.h).
#ifndef VALLM_TESTS_FUZZ_TOKENIZER_LAWS_H_
#define VALLM_TESTS_FUZZ_TOKENIZER_LAWS_H_

#include <cstdint>
#include <span>
#include <string_view>

#include "tokenizer_service/bpe/tokenizer.h"

namespace vallm::tokenizer {

struct TokenizerTraits {
  bool nfc = true;            // the normaliser is NFC
  bool strips_space = false;  // an added token has lstrip or rstrip
};

// Encode refuses exactly what is not UTF-8; the bytes of the ids are the normal form of the text;
// that form has the same ids; special tokens change no text but the white space they take along.
void CheckEncode(const Tokenizer& tokenizer, const TokenizerTraits& traits, std::string_view text);

// Decoding any ids gives the characters of their bytes, and skip_special_tokens the same as leaving
// those ids out.
void CheckDecode(const Tokenizer& tokenizer, std::span<const int32_t> ids);

}  // namespace vallm::tokenizer

#endif  // VALLM_TESTS_FUZZ_TOKENIZER_LAWS_H_
