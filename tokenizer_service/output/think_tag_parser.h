// The reasoning parser of models that think in <think> ... </think>: Qwen3, DeepSeek-R1.
//
// Unless the prompt closed the block, the answer begins with reasoning: the model may leave out the
// opening tag when the prompt has it, and a stream cannot wait to see whether a closing tag comes.
// Whitespace and an opening tag at the very start are consumed; the first closing tag ends the
// reasoning; later tags are text. Without a closing tag all of it is reasoning. A template that
// knows no thinking (PromptThinkState::kUnaware) turns the presumption round: without an opening
// tag all of it is content.
#ifndef VALLM_TOKENIZER_SERVICE_OUTPUT_THINK_TAG_PARSER_H_
#define VALLM_TOKENIZER_SERVICE_OUTPUT_THINK_TAG_PARSER_H_

#include "tokenizer_service/output/reasoning_parser.h"
#include "tokenizer_service/output/tag_matcher.h"

namespace vallm::tokenizer {

class ThinkTagParser : public ReasoningParser {
 public:
  explicit ThinkTagParser(PromptThinkState state);

  void Append(std::string_view text, ReasoningSplit* split) override;
  void Flush(ReasoningSplit* split) override;
  std::optional<int64_t> reasoning_end() const override { return reasoning_end_; }
  bool undecided() const override { return state_ == State::kLead && needs_open_tag_; }
  std::vector<std::string_view> tags() const override;

 private:
  enum class State { kLead, kReasoning, kContent };

  void AppendLead(std::string_view text, ReasoningSplit* split);
  void AppendReasoning(std::string_view text, ReasoningSplit* split);

  State state_;
  const bool needs_open_tag_;
  std::string lead_;  // the start of the answer, until it is clear whether <think> follows
  size_t lead_whitespace_ = 0;  // bytes of whitespace that lead_ begins with
  TagMatcher close_;
  int64_t consumed_ = 0;  // bytes appended so far
  std::optional<int64_t> reasoning_end_;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_OUTPUT_THINK_TAG_PARSER_H_
