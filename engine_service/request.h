// A request to the engine and what comes back of it. Plain C++: no wire types.
#ifndef VALLM_ENGINE_SERVICE_REQUEST_H_
#define VALLM_ENGINE_SERVICE_REQUEST_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "engine_service/constraint/constraint_spec.h"
#include "engine_service/constraint/matcher.h"
#include "engine_service/sampling/params.h"
#include "engine_service/sampling/sampler.h"
#include "engine_service/speculation/prompt_lookup.h"

namespace vallm::engine {

// What the answer of a request must look like.
struct RequestConstraint {
  ConstraintSpec spec;
  ConstraintStart::Phase start = ConstraintStart::Phase::kAnswer;  // where the output begins
};

// When the engine closes a thought that the model has not closed itself
// (thinking/thought_closer.h).
struct ThinkingOptions {
  std::optional<int32_t> token_budget = {};  // tokens of the thought; >= 0; absent: no limit
  std::optional<int32_t> end_position = {};  // in the output, from which on; >= 0; absent: none
};

struct GenerationRequest {
  std::string request_id;               // unique among live requests; empty: the engine makes one
  std::vector<int32_t> prompt_ids;      // at least one, each in [0, vocab_size)
  SamplingOverrides sampling;           // a seed is drawn when absent
  std::optional<int32_t> max_tokens;    // resumed ones included; absent: what fits
  int32_t min_tokens = 0;               // output tokens, resumed ones included, before an end
  std::vector<int32_t> stop_ids;        // beside the model's own end-of-sequence ids
  bool ignore_eos = false;              // the model's own ids are ordinary tokens
  std::vector<int32_t> resumed_ids;     // output that the caller already has
  std::optional<int32_t> top_logprobs;  // absent: no log-probabilities; in [0, vocab_size]
  // The same for the tokens of the prompt; not with resumed_ids. The prefix cache is passed over.
  std::optional<int32_t> prompt_top_logprobs;
  absl::Time deadline = absl::InfiniteFuture();
  int32_t priority = 0;  // lower comes earlier
  std::optional<RequestConstraint> constraint = {};
  ThinkingOptions thinking;
  PromptLookupOverrides speculation;
  std::string cache_salt;  // prompts are found in the cache under the same salt only; <= 256 bytes
};

enum class FinishReason { kStop, kLength, kAbort };

struct Usage {
  int32_t prompt_tokens = 0;
  int32_t cached_tokens = 0;          // of the prompt, found in the prefix cache
  int32_t completion_tokens = 0;      // resumed ones included
  int32_t draft_tokens = 0;           // guessed by speculation
  int32_t accepted_draft_tokens = 0;  // of these, held
  absl::Duration queue_time;          // from arrival to the first step it took part in
  absl::Duration prefill_time;        // from there to the first sampled token
  absl::Duration decode_time;         // from the first to the last sampled token
};

// How a request ended.
struct Completion {
  // OK, or DEADLINE_EXCEEDED (its deadline passed), UNAVAILABLE (the workers died, the engine
  // stops), CANCELLED (the caller cancelled), INTERNAL (the model gave no usable logits),
  // INVALID_ARGUMENT (a constraint that the resumed tokens break, that leaves no token with the
  // request's other parameters, or that is too ambiguous to go on with).
  absl::Status status;
  FinishReason reason = FinishReason::kStop;  // when OK
  std::optional<int32_t> stop_id;             // the id that ended it, when kStop
  Usage usage;
};

// Tokens in output order. `logprobs` is as long as `token_ids` when asked for, else empty.
struct TokenBatch {
  std::vector<int32_t> token_ids;
  std::vector<PositionLogprobs> logprobs;
  // When asked for, of the prompt's tokens but the first, before and beside the first output token.
  std::vector<PositionLogprobs> prompt_logprobs;
};

// Where the engine delivers. Calls come one at a time, in the order OnStart, OnTokens*, OnFinish;
// OnStart may be missing when the request ends before it ran. They must not block and must not call
// the engine back. Nothing comes after OnFinish.
class RequestSink {
 public:
  virtual ~RequestSink() = default;
  // The request left the queue.
  virtual void OnStart() = 0;
  virtual void OnTokens(TokenBatch tokens) = 0;
  virtual void OnFinish(const Completion& completion) = 0;
};

// A whole answer: what Generate returns.
struct Generation {
  TokenBatch tokens;  // without the resumed ones
  Completion completion;
  int64_t seed = 0;  // in use, given or drawn
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_REQUEST_H_
