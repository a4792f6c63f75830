// The parameters that every generating endpoint shares: sampling, stopping, streaming.
//
// A parameter is honoured, refused by name, or (when it changes nothing about the tokens) listed in
// `ignored`, which the response repeats in the header x-ignored-params. None is dropped silently.
#ifndef VALLM_GATEWAY_OPENAI_GENERATION_PARAMS_H_
#define VALLM_GATEWAY_OPENAI_GENERATION_PARAMS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gateway/openai/constraint_params.h"
#include "gateway/openai/json_object.h"
#include "gateway/openai/thinking_params.h"

namespace vallm::gateway {

struct GenerationParams {
  std::string model;  // empty: the first served one

  // Absent: the model's default.
  std::optional<float> temperature;                       // [0, 2]
  std::optional<float> top_p;                             // (0, 1]
  std::optional<int32_t> top_k;                           // >= 0; 0 is off
  std::optional<int64_t> seed;                            // absent: drawn by the gateway
  std::optional<float> min_p;                             // [0, 1]; 0 is off
  std::optional<float> repetition_penalty;                // > 0; 1 is off
  std::optional<float> presence_penalty;                  // [-2, 2]
  std::optional<float> frequency_penalty;                 // [-2, 2]
  std::vector<std::pair<int32_t, float>> logit_bias;      // biases in [-100, 100]
  std::vector<std::string> bad_words;                     // none blank
  std::optional<std::vector<int32_t>> allowed_token_ids;  // not empty

  std::optional<AnswerConstraint> constraint;  // absent: the answer may be anything
  ThinkingParams thinking;                     // of a chat

  std::optional<int32_t> max_tokens;  // >= 1
  std::vector<std::string> stop;      // at most 32, none empty
  bool include_stop_str_in_output = false;
  std::vector<int32_t> stop_token_ids;
  int32_t min_tokens = 0;  // >= 0; before them neither stop strings nor stop tokens count
  bool ignore_eos = false;
  bool skip_special_tokens = true;

  int n = 1;        // [1, 128]: answers to each prompt
  int best_of = 1;  // [n, 128]: answers generated to each prompt, of which n are returned
  // How many of the likeliest tokens are listed beside the log-probability of each token of the
  // answer; absent: no log-probabilities.
  std::optional<int32_t> top_logprobs;
  std::optional<int32_t> prompt_logprobs;  // the same for the prompt's tokens; not with `stream`

  // Empty or at most 256 bytes: who may find the prompt in the prefix cache.
  std::string cache_salt;
  int32_t priority = 0;          // lower comes earlier while requests wait
  std::string prompt_cache_key;  // names the conversation, for routing; may be empty
  // Nobody waits for it: comes after everything else. Set by the route.
  bool background = false;
  std::string task;  // what it was recognised as; empty: it was told to be, or is none
  std::optional<int32_t> prompt_lookup_num_tokens;  // >= 0; absent: no speculation

  // Tokens of the prompt that are kept: kAllThatFit, or >= 1; absent: a long prompt is refused.
  std::optional<int32_t> truncate_prompt_tokens;
  bool truncate_right = false;  // keeps the first ones instead of the last
  static constexpr int32_t kAllThatFit = -1;

  // What the answer carries beside its text.
  bool return_token_ids = false;
  bool return_prompt_text = false;
  bool include_metrics = false;
  // What becomes of the reasoning of a chat.
  bool include_reasoning = true;
  bool separate_reasoning = true;  // false: it stays in the content, tags and all
  bool stream_reasoning = true;    // false: a stream has it in one piece

  bool stream = false;
  bool include_usage = false;
  bool continuous_usage_stats = false;

  std::vector<std::string> ignored;
};

// Reads them. Errors: INVALID_ARGUMENT naming the parameter, for a wrong type or range and for one
// that is not implemented with the given value.
absl::Status ReadGenerationParams(JsonObject& body, GenerationParams* params);

// Reads vLLM's and OpenAI's ways to ask for log-probabilities: `logprobs` true with `top_logprobs`
// in a chat, a number in a completion. Errors: INVALID_ARGUMENT naming the parameter, for more than
// `max_logprobs` as well.
absl::Status ReadChatLogprobs(JsonObject& body, int max_logprobs, GenerationParams* params);
absl::Status ReadCompletionLogprobs(JsonObject& body, int max_logprobs, GenerationParams* params);

// Refuses by name what `body` sets to anything but a value without effect, then lists what nobody
// has read in params->ignored. Call last.
absl::Status RefuseOrIgnoreTheRest(JsonObject& body, GenerationParams* params);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_OPENAI_GENERATION_PARAMS_H_
