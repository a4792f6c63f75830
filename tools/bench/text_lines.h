// Prompts from the lines of any text, like vLLM's with Shakespeare's sonnets: an instruction, lines
// that all prompts share, then lines of their own.
#ifndef VALLM_TOOLS_BENCH_TEXT_LINES_H_
#define VALLM_TOOLS_BENCH_TEXT_LINES_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "tokenizer_service/bpe/tokenizer.h"
#include "tools/bench/bench_prompt.h"

namespace vallm::tools {

// In tokens. The prefix counts towards the input.
struct LinePromptLengths {
  int64_t input_len = 550;
  int64_t prefix_len = 200;
  int64_t output_len = 150;
};

// Whole lines as far as they fit, and random words up to exactly the length. Errors:
// INVALID_ARGUMENT when `text` has no lines or the instruction does not fit into the prefix.
absl::StatusOr<std::vector<BenchPrompt>> LinePrompts(std::string_view text,
                                                     const LinePromptLengths& lengths,
                                                     int64_t count, uint64_t seed,
                                                     const tokenizer::Tokenizer& tokenizer);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_BENCH_TEXT_LINES_H_
