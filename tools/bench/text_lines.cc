#include "tools/bench/text_lines.h"

#include <random>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tools/bench/word_bag.h"

namespace vallm::tools {
namespace {

constexpr std::string_view kInstruction = "Continue this text with lines of the same kind:\n";
// So many lines in a row may be too long for what is left before words fill it.
constexpr int kTries = 8;

class LineWriter {
 public:
  LineWriter(std::vector<std::string> lines, WordBag words, uint64_t seed,
             const tokenizer::Tokenizer& tokenizer)
      : lines_(std::move(lines)), words_(std::move(words)), random_(seed), tokenizer_(tokenizer) {}

  // Appends to `text` until it has `tokens`. Errors: INVALID_ARGUMENT when it has more already.
  absl::Status Fill(int64_t tokens, std::string* text) {
    VALLM_ASSIGN_OR_RETURN(int64_t has, Count(*text));
    if (has > tokens) {
      return absl::InvalidArgumentError(
          absl::StrCat("a prompt begins with ", has, " tokens of instruction; ", tokens,
                       " are asked for: raise --sonnet-prefix-len and --sonnet-input-len"));
    }
    for (int failed = 0; failed < kTries;) {
      const auto chosen = std::uniform_int_distribution<size_t>(0, lines_.size() - 1)(random_);
      const std::string longer =
          absl::StrCat(*text, text->ends_with('\n') ? "" : "\n", lines_[chosen], "\n");
      VALLM_ASSIGN_OR_RETURN(const int64_t would_have, Count(longer));
      if (would_have > tokens) {
        ++failed;
        continue;
      }
      *text = longer;
      has = would_have;
    }
    // Behind a line break a word keeps its space: the white space before it is a piece of its own.
    const std::string before = *text;
    for (int64_t missing = tokens - has; missing > 0;) {
      *text = before + words_.Draw(missing, before.empty(), random_);
      VALLM_ASSIGN_OR_RETURN(const int64_t got, Count(*text));
      if (got == tokens) break;
      missing -= got - tokens;
      if (missing <= 0) return absl::InternalError("the text cannot be made that long");
    }
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<int64_t> Count(std::string_view text) const {
    VALLM_ASSIGN_OR_RETURN(const auto ids, tokenizer_.Encode(text));
    return static_cast<int64_t>(ids.size());
  }

  const std::vector<std::string> lines_;
  const WordBag words_;
  std::mt19937_64 random_;
  const tokenizer::Tokenizer& tokenizer_;
};

}  // namespace

absl::StatusOr<std::vector<BenchPrompt>> LinePrompts(std::string_view text,
                                                     const LinePromptLengths& lengths,
                                                     int64_t count, uint64_t seed,
                                                     const tokenizer::Tokenizer& tokenizer) {
  if (lengths.prefix_len > lengths.input_len) {
    return absl::InvalidArgumentError(absl::StrCat("--sonnet-prefix-len ", lengths.prefix_len,
                                                   " is more than --sonnet-input-len ",
                                                   lengths.input_len));
  }
  std::vector<std::string> lines;
  for (const absl::string_view line : absl::StrSplit(ToAbsl(text), '\n')) {
    const absl::string_view stripped = absl::StripAsciiWhitespace(line);
    if (!stripped.empty()) lines.emplace_back(stripped);
  }
  if (lines.empty()) return absl::InvalidArgumentError("--dataset-path has no lines");
  VALLM_ASSIGN_OR_RETURN(WordBag words, WordBag::Collect(tokenizer));
  LineWriter writer(std::move(lines), std::move(words), seed, tokenizer);
  std::string prefix(kInstruction);
  VALLM_RETURN_IF_ERROR(writer.Fill(lengths.prefix_len, &prefix));
  std::vector<BenchPrompt> prompts;
  for (int64_t i = 0; i < count; ++i) {
    BenchPrompt prompt = {
        .text = prefix, .tokens = lengths.input_len, .output_tokens = lengths.output_len};
    VALLM_RETURN_IF_ERROR(writer.Fill(lengths.input_len, &prompt.text));
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

}  // namespace vallm::tools
