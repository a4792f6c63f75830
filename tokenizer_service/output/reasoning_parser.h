// Splits an answer's text into reasoning and, after it, content. An interface, so that models with
// other marks can be added to the registry; and the parser of <think> blocks (qwen3, deepseek_r1).
// Not thread-safe.
#ifndef VALLM_TOKENIZER_SERVICE_OUTPUT_REASONING_PARSER_H_
#define VALLM_TOKENIZER_SERVICE_OUTPUT_REASONING_PARSER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "tokenizer_service/output/prompt_think_state.h"

namespace vallm::tokenizer {

// A piece of the answer, in the order of the text: what opens the reasoning, the reasoning, what
// closes it, the content.
struct ReasoningSplit {
  size_t open_bytes = 0;  // markup
  std::string reasoning = {};
  size_t close_bytes = 0;  // markup
  std::string content = {};
};

class ReasoningParser {
 public:
  virtual ~ReasoningParser() = default;

  // Appends to *split what `text` makes certain. Whitespace is left as it is.
  virtual void Append(std::string_view text, ReasoningSplit* split) = 0;

  // The text is over: appends what was held back.
  virtual void Flush(ReasoningSplit* split) = 0;

  // Offset in the text of the first byte behind the reasoning and its closing tag; nullopt while
  // the reasoning goes on. 0 if there is no reasoning.
  virtual std::optional<int64_t> reasoning_end() const = 0;

  // Whether it is still open if the text so far is reasoning or content.
  virtual bool undecided() const = 0;

  // The tags it looks for.
  virtual std::vector<std::string_view> tags() const = 0;
};

// A parser by its name, starting from what the prompt left.
// Errors: INVALID_ARGUMENT for an unknown name; the message lists the known ones.
absl::StatusOr<std::unique_ptr<ReasoningParser>> MakeReasoningParser(std::string_view name,
                                                                     PromptThinkState state);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_OUTPUT_REASONING_PARSER_H_
