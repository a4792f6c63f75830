// Reads a tokenizer.json into plain data. Everything in the file that would change the ids or the
// bytes of a token is either represented here or refused.
#ifndef VALLM_TOKENIZER_SERVICE_BPE_TOKENIZER_JSON_H_
#define VALLM_TOKENIZER_SERVICE_BPE_TOKENIZER_JSON_H_

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "tokenizer_service/bpe/huge_page_allocator.h"
#include "tokenizer_service/bpe/pretokenizer.h"

namespace vallm::tokenizer {

struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool single_word = false;  // matches only where no word character touches it
  bool lstrip = false;       // takes the white space before it along
  bool rstrip = false;       // takes the white space behind it along
  bool normalized = false;   // is looked for in the normalised text, not in the raw text
  bool special = false;      // left out by skip_special_tokens
};

// Its texts point into the file's, or into `storage`.
struct TokenizerSpec {
  struct VocabEntry {
    std::string_view text;  // in the byte-level alphabet, as in the file
    int32_t id;
  };
  struct Merge {
    std::string_view left;  // in the byte-level alphabet
    std::string_view right;
  };
  // In no particular order; ids are unique and not negative.
  std::vector<VocabEntry, HugePageAllocator<VocabEntry>> vocab;
  std::vector<Merge, HugePageAllocator<Merge>> merges;  // by rank
  std::deque<std::string> storage;       // the texts that the file writes with escapes
  std::vector<AddedToken> added_tokens;  // in the order of the file
  SplitRules split_rules;
  bool nfc = false;            // the normaliser is NFC; else none
  bool ignore_merges = false;  // a piece that is a vocabulary entry is not merged
};

// `json` must outlive the result. Errors: INVALID_ARGUMENT if `json` is not JSON or lacks
// something; UNIMPLEMENTED if it asks for something not represented here. The message begins with
// the path of the field.
absl::StatusOr<TokenizerSpec> ParseTokenizerJson(std::string_view json);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_BPE_TOKENIZER_JSON_H_
