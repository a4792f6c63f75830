#include "tokenizer_service/output/prompt_think_state.h"

#include <optional>

#include "tokenizer_service/bpe/token_table.h"

namespace vallm::tokenizer {

PromptThinkState ThinkStateFromPrompt(std::span<const int32_t> prompt_ids,
                                      const TokenTable& tokens) {
  const std::optional<int32_t> open = tokens.TokenId("<think>");
  const std::optional<int32_t> close = tokens.TokenId("</think>");
  const std::optional<int32_t> turns[] = {tokens.TokenId("<|im_start|>"),
                                          tokens.TokenId("<｜Assistant｜>")};
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
