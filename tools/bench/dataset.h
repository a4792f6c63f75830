// The prompts of a benchmark, made or read from a file before anything is measured.
#ifndef VALLM_TOOLS_BENCH_DATASET_H_
#define VALLM_TOOLS_BENCH_DATASET_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tokenizer_service/bpe/tokenizer.h"
#include "tools/bench/bench_prompt.h"

namespace vallm::tools {

// Names and defaults are those of vLLM's benchmark. Lengths are in tokens.
struct DatasetOptions {
  std::string name = "random";  // random, sharegpt, sonnet, prefix_repetition, custom
  std::string path;             // of the file that sharegpt, sonnet and custom read

  int64_t random_input_len = 1024;
  int64_t random_output_len = 128;
  int64_t random_prefix_len = 0;  // of the beginning that all prompts share, on top
  double random_range_ratio = 0;  // lengths are drawn from len * (1 - ratio) to len * (1 + ratio)

  int64_t sonnet_input_len = 550;
  int64_t sonnet_output_len = 150;
  int64_t sonnet_prefix_len = 200;

  int64_t sharegpt_output_len = 0;  // 0: as long as the answer in the file

  int64_t prefix_repetition_prefix_len = 256;
  int64_t prefix_repetition_suffix_len = 256;
  int64_t prefix_repetition_num_prefixes = 10;
  int64_t prefix_repetition_output_len = 128;

  int64_t custom_output_len = 256;  // of rows without "output_tokens"
};

// Makes `count` prompts; the same ones for the same seed, options and tokenizer. Only "custom" does
// without a tokenizer. Every prompt of random, sonnet and prefix_repetition has exactly the tokens
// it says.
// Errors: INVALID_ARGUMENT for options that contradict each other, NOT_FOUND for a file that cannot
// be read.
absl::StatusOr<std::vector<BenchPrompt>> MakePrompts(const DatasetOptions& options, int64_t count,
                                                     uint64_t seed,
                                                     const tokenizer::Tokenizer* tokenizer);

// The whole file. Errors: NOT_FOUND.
absl::StatusOr<std::string> ReadDatasetFile(const std::string& path);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_BENCH_DATASET_H_
