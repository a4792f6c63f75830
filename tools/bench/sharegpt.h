// Prompts from a file in ShareGPT's layout: a JSON array of {"conversations": [{"from", "value"},
// ...]}. The first turn is the prompt, the second says how long an answer is asked for.
#ifndef VALLM_TOOLS_BENCH_SHAREGPT_H_
#define VALLM_TOOLS_BENCH_SHAREGPT_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "tokenizer_service/bpe/tokenizer.h"
#include "tools/bench/bench_prompt.h"

namespace vallm::tools {

// Shuffles the conversations and takes `count` of those whose prompt and answer have a usual length
// (vLLM's bounds: both 4 tokens at least, the prompt 1,024 and both together 2,048 at most), some
// several times where there are too few. `output_len` 0: as the answer in the file.
// Errors: INVALID_ARGUMENT when `json` has another layout or no such conversation.
absl::StatusOr<std::vector<BenchPrompt>> ShareGptPrompts(std::string_view json, int64_t output_len,
                                                         int64_t count, uint64_t seed,
                                                         const tokenizer::Tokenizer& tokenizer);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_BENCH_SHAREGPT_H_
