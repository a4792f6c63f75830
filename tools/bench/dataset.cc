#include "tools/bench/dataset.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"
#include "tools/bench/sharegpt.h"
#include "tools/bench/text_lines.h"
#include "tools/bench/word_bag.h"
#include "tools/jsonl/json_row.h"

namespace vallm::tools {
namespace {

using Prompts = std::vector<BenchPrompt>;
using tokenizer::Tokenizer;

// A length from [len * (1 - ratio), len * (1 + ratio)], as vLLM draws it; at least 1.
int64_t DrawLength(int64_t len, double ratio, std::mt19937_64& random) {
  const auto low = static_cast<int64_t>(static_cast<double>(len) * (1 - ratio));
  const auto high = static_cast<int64_t>(static_cast<double>(len) * (1 + ratio));
  return std::max<int64_t>(1, std::uniform_int_distribution<int64_t>(low, high)(random));
}

// What all exact prompts go through: the promise is kept or the run does not begin.
absl::Status CheckLengths(const Tokenizer& tokenizer, const Prompts& prompts) {
  for (const BenchPrompt& prompt : prompts) {
    VALLM_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, tokenizer.Encode(prompt.text));
    if (static_cast<int64_t>(ids.size()) != prompt.tokens) {
      return absl::InternalError(absl::StrCat("a prompt of ", prompt.tokens, " tokens was made as ",
                                              ids.size(), ": this tokenizer joins words"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Prompts> RandomPrompts(const DatasetOptions& options, int64_t count, uint64_t seed,
                                      const Tokenizer& tokenizer) {
  VALLM_ASSIGN_OR_RETURN(const WordBag words, WordBag::Collect(tokenizer));
  std::mt19937_64 random(seed);
  const std::string prefix = words.Draw(options.random_prefix_len, /*at_start=*/true, random);
  Prompts prompts;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t input = DrawLength(options.random_input_len, options.random_range_ratio, random);
    const int64_t output =
        DrawLength(options.random_output_len, options.random_range_ratio, random);
    prompts.push_back({.text = prefix + words.Draw(input, prefix.empty(), random),
                       .tokens = options.random_prefix_len + input,
                       .output_tokens = output});
  }
  VALLM_RETURN_IF_ERROR(CheckLengths(tokenizer, prompts));
  return prompts;
}

absl::StatusOr<Prompts> PrefixRepetitionPrompts(const DatasetOptions& options, int64_t count,
                                                uint64_t seed, const Tokenizer& tokenizer) {
  const int64_t prefixes = options.prefix_repetition_num_prefixes;
  if (count < prefixes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--num-prompts ", count, " is less than --prefix-repetition-num-prefixes ", prefixes));
  }
  VALLM_ASSIGN_OR_RETURN(const WordBag words, WordBag::Collect(tokenizer));
  std::mt19937_64 random(seed);
  const int64_t prefix_len = options.prefix_repetition_prefix_len;
  const int64_t suffix_len = options.prefix_repetition_suffix_len;
  std::vector<std::string> beginnings;
  for (int64_t i = 0; i < prefixes; ++i) {
    beginnings.push_back(words.Draw(prefix_len, /*at_start=*/true, random));
  }
  Prompts prompts;
  for (int64_t i = 0; i < count; ++i) {
    const std::string& beginning = beginnings[static_cast<size_t>(i % prefixes)];
    prompts.push_back({.text = beginning + words.Draw(suffix_len, prefix_len == 0, random),
                       .tokens = prefix_len + suffix_len,
                       .output_tokens = options.prefix_repetition_output_len});
  }
  std::shuffle(prompts.begin(), prompts.end(), random);
  VALLM_RETURN_IF_ERROR(CheckLengths(tokenizer, prompts));
  return prompts;
}

// JSON Lines of {"prompt": "...", "output_tokens": 100}; the second may be missing.
absl::StatusOr<Prompts> CustomPrompts(const DatasetOptions& options, int64_t count,
                                      const Tokenizer* tokenizer) {
  VALLM_ASSIGN_OR_RETURN(const std::string file, ReadDatasetFile(options.path));
  Prompts rows;
  int64_t line_number = 0;
  for (const absl::string_view line : absl::StrSplit(file, '\n')) {
    ++line_number;
    if (line.find_first_not_of(" \t\r") == absl::string_view::npos) continue;
    const auto in_line = [&](const absl::Status& status) {
      return absl::InvalidArgumentError(
          absl::StrCat(options.path, ":", line_number, ": ", status.message()));
    };
    const auto row = JsonRow::Parse({line.data(), line.size()});
    if (!row.ok()) return in_line(row.status());
    const auto prompt = row->String("prompt");
    if (!prompt.ok()) return in_line(prompt.status());
    const auto output = row->OptionalInt("output_tokens");
    if (!output.ok()) return in_line(output.status());
    int64_t tokens = -1;
    if (tokenizer != nullptr) {
      const auto ids = tokenizer->Encode(*prompt);
      if (!ids.ok()) return in_line(ids.status());
      tokens = static_cast<int64_t>(ids->size());
    }
    rows.push_back({.text = *prompt,
                    .tokens = tokens,
                    .output_tokens = output->value_or(options.custom_output_len)});
  }
  if (rows.empty()) return absl::InvalidArgumentError(options.path + " has no rows");
  Prompts prompts;
  for (int64_t i = 0; i < count; ++i) {
    prompts.push_back(rows[static_cast<size_t>(i) % rows.size()]);
  }
  return prompts;
}

}  // namespace

absl::StatusOr<std::string> ReadDatasetFile(const std::string& path) {
  if (path.empty()) return absl::InvalidArgumentError("this dataset needs --dataset-path FILE");
  std::ifstream file(path, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read --dataset-path ", path));
  return text;
}

absl::StatusOr<Prompts> MakePrompts(const DatasetOptions& options, int64_t count, uint64_t seed,
                                    const Tokenizer* tokenizer) {
  if (options.name == "custom") return CustomPrompts(options, count, tokenizer);
  if (tokenizer == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("dataset ", options.name,
                     " counts tokens: give --tokenizer DIR (or --model DIR), the folder of the "
                     "served model's tokenizer.json"));
  }
  if (options.name == "random") return RandomPrompts(options, count, seed, *tokenizer);
  if (options.name == "prefix_repetition") {
    return PrefixRepetitionPrompts(options, count, seed, *tokenizer);
  }
  VALLM_ASSIGN_OR_RETURN(const std::string file, ReadDatasetFile(options.path));
  if (options.name == "sharegpt") {
    return ShareGptPrompts(file, options.sharegpt_output_len, count, seed, *tokenizer);
  }
  if (options.name == "sonnet") {
    VALLM_ASSIGN_OR_RETURN(Prompts prompts, LinePrompts(file,
                                                        {.input_len = options.sonnet_input_len,
                                                         .prefix_len = options.sonnet_prefix_len,
                                                         .output_len = options.sonnet_output_len},
                                                        count, seed, *tokenizer));
    VALLM_RETURN_IF_ERROR(CheckLengths(*tokenizer, prompts));
    return prompts;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--dataset-name ", options.name,
                   " is unknown; use random, sharegpt, sonnet, prefix_repetition or custom"));
}

}  // namespace vallm::tools
