#include "tokenizer_service/output/prompt_think_state.h"

#include <optional>

#include "tokenizer_service/bpe/tokenizer.h"

namespace vallm::tokenizer {

PromptThinkState ThinkStateFromPrompt(std::span<const int32_t> prompt_ids,
                                      const Tokenizer& tokenizer) {
  const std::optional<int32_t> open = tokenizer.TokenId("<think>");
  const std::optional<int32_t> close = tokenizer.TokenId("</think>");
  const std::optional<int32_t> turns[] = {tokenizer.TokenId("<|im_start|>"),
                                          tokenizer.TokenId("<｜Assistant｜>")};
  for (size_t i = prompt_ids.size(); i-- > 0;) {
    const int32_t id = prompt_ids[i];
    if (id == open) return PromptThinkState::kOpen;
    if (id == close) return PromptThinkState::kClosed;
    for (const std::optional<int32_t>& turn : turns) {
      if (id == turn) return PromptThinkState::kNone;
    }
  }
  return PromptThinkState::kNone;
}

}  // namespace vallm::tokenizer
