// Log-probabilities in OpenAI's two shapes. Pure.
//
// A log-probability below -9999 is written as -9999, as OpenAI does: JSON has no infinity. NaN is
// written as null.
#ifndef VALLM_GATEWAY_OPENAI_LOGPROBS_TEXT_H_
#define VALLM_GATEWAY_OPENAI_LOGPROBS_TEXT_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "gateway/generation/event.h"
#include "tokenizer_service/bpe/token_table.h"

namespace vallm::gateway {

// A chat's: {"content":[{"token":…,"logprob":…,"bytes":[…],"top_logprobs":[…]}],"refusal":null}.
// Bytes that are no UTF-8 by themselves are U+FFFD in "token".
void AppendChatLogprobs(const std::vector<TokenLogprobs>& logprobs,
                        const tokenizer::TokenTable& texts, std::string* out);

// The list in that, as the Responses API has it.
void AppendTokenList(const std::vector<TokenLogprobs>& logprobs, const tokenizer::TokenTable& texts,
                     std::string* out);

// A completion's: {"text_offset":[…],"token_logprobs":[…],"tokens":[…],"top_logprobs":[{…}]}.
// Offsets count characters; `offset` is that of the first token and becomes that of the next one.
// Each object of "top_logprobs" has the token itself too. Bytes that are no UTF-8 by themselves are
// written "bytes:\\xe4\\xbd", so that no two tokens have the same name.
void AppendCompletionLogprobs(const std::vector<TokenLogprobs>& logprobs,
                              const tokenizer::TokenTable& texts, int64_t* offset,
                              std::string* out);

// A prompt's, as vLLM has them: [null,{"1234":{"logprob":…,"rank":…,"decoded_token":…},…},…], a
// position each, with the token that is there and the likeliest ones.
// `logprobs` begins with the second token of the prompt.
void AppendPromptLogprobs(std::span<const TokenLogprobs> logprobs,
                          const tokenizer::TokenTable& texts, std::string* out);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_OPENAI_LOGPROBS_TEXT_H_
