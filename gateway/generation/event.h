// What an answer is made of, as the encoders see it: the same events for streams and whole answers,
// for chats and completions. Plain values.
#ifndef VALLM_GATEWAY_GENERATION_EVENT_H_
#define VALLM_GATEWAY_GENERATION_EVENT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace vallm::gateway {

// Times of an answer with one choice, in milliseconds.
struct AnswerTimes {
  double queue_ms = 0;        // until it got a slot
  double first_token_ms = 0;  // until its first token, the queue included
  double generation_ms = 0;   // from then to its end
};

struct TokenUsage {
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;  // of the prompt, found in the prefix cache
  int64_t completion_tokens = 0;
  int64_t reasoning_tokens = 0;                     // of the completion
  int64_t draft_tokens = 0;                         // guessed by speculation
  int64_t accepted_draft_tokens = 0;                // of these, held
  std::optional<AnswerTimes> times = std::nullopt;  // of a whole request, where asked for
};

// What ended an answer beside the model itself: nothing, a stop string, or a stop token id.
using StopReason = std::variant<std::monostate, std::string, int32_t>;

// Log-probabilities at the position of one token of the answer or the prompt.
struct TokenLogprobs {
  int32_t token_id = 0;
  float logprob = 0;                           // NaN: it has none, as it is the first of the prompt
  int32_t rank = 0;                            // 1 + the number of tokens more likely than it
  std::vector<std::pair<int32_t, float>> top;  // ids and log-probabilities, best first
  bool shows = false;                          // some of its text is in the answer
};

struct GenerationEvent {
  enum class Kind {
    kReasoning,          // text
    kContent,            // text
    kToolCallStart,      // tool_index, text: the function's name
    kToolCallArguments,  // tool_index, text: a piece of the JSON
    kFinish,             // text: stop, length or tool_calls; stop_reason, usage. The choice's last
  };
  int choice = 0;
  Kind kind = Kind::kContent;
  std::string text;
  int tool_index = 0;
  StopReason stop_reason;
  TokenUsage usage;  // on kFinish; before, completion_tokens so far
  // Where asked for, of the tokens that begin to show here and those before them that show nowhere:
  // over all events of a choice, every token is there once and in order.
  std::vector<TokenLogprobs> logprobs;
  // The ids of those tokens, where asked for.
  std::vector<int32_t> token_ids;
  // On kFinish, where asked for: of the prompt's tokens, the first of which has none.
  std::vector<TokenLogprobs> prompt_logprobs;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_GENERATION_EVENT_H_
