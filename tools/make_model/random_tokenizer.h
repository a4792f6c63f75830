// A tokenizer for models without one: complete, since every byte is a token, with merges of letters
// up to the size of the vocabulary and Qwen3's added tokens behind them.
#ifndef VALLM_TOOLS_MAKE_MODEL_RANDOM_TOKENIZER_H_
#define VALLM_TOOLS_MAKE_MODEL_RANDOM_TOKENIZER_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace vallm::tools {

// The files of a tokenizer: name and text.
using TextFiles = std::vector<std::pair<std::string, std::string>>;

// The tokenizer of a model whose embedding has `vocab_size` rows and `max_positions` positions. For
// 151936 rows the added tokens have the ids of Qwen3's. Errors: INVALID_ARGUMENT if the vocabulary
// is too small for all bytes and added tokens.
absl::StatusOr<TextFiles> MakeTokenizerFiles(int64_t vocab_size, int64_t max_positions);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_MAKE_MODEL_RANDOM_TOKENIZER_H_
