// Where the rendered prompt leaves the model with respect to its think block: the state a reasoning
// parser starts from. Read off the prompt's ids, so no flag can disagree with a chat template.
#ifndef VALLM_TOKENIZER_SERVICE_OUTPUT_PROMPT_THINK_STATE_H_
#define VALLM_TOKENIZER_SERVICE_OUTPUT_PROMPT_THINK_STATE_H_

#include <cstdint>
#include <span>

namespace vallm::tokenizer {

class TokenTable;

enum class PromptThinkState {
  kNone,  // the turn has no think tag yet: the model opens the block itself, or leaves the tag out
  kOpen,  // the prompt ends inside <think>
  kClosed,   // the prompt closed the block (thinking switched off): everything is content
  kUnaware,  // no tag, and the template knows none: content, unless the answer opens with <think>
};

// The last of <think> and </think> in the turn the model continues, i.e. after the last
// <|im_start|> (or <｜Assistant｜>): a tag in an earlier message does not count. Without such a
// turn mark the whole prompt is the turn. Cost: one backward walk over the last turn.
PromptThinkState ThinkStateFromPrompt(std::span<const int32_t> prompt_ids,
                                      const TokenTable& tokens);

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_OUTPUT_PROMPT_THINK_STATE_H_
