// One request of a benchmark, before it is sent.
#ifndef VALLM_TOOLS_BENCH_BENCH_PROMPT_H_
#define VALLM_TOOLS_BENCH_BENCH_PROMPT_H_

#include <cstdint>
#include <string>

namespace vallm::tools {

struct BenchPrompt {
  std::string text;
  int64_t tokens = 0;         // of `text`; -1 where there is no tokenizer to count them
  int64_t output_tokens = 0;  // the most that are asked for
};

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_BENCH_BENCH_PROMPT_H_
