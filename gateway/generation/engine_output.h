// What the engines have generated of one choice so far, over all instances it has run on, and the
// request that continues it elsewhere. Plain data, not thread-safe.
#ifndef VALLM_GATEWAY_GENERATION_ENGINE_OUTPUT_H_
#define VALLM_GATEWAY_GENERATION_ENGINE_OUTPUT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gateway/generation/event.h"
#include "vallm/v1/engine.pb.h"

namespace vallm::gateway {

class EngineOutput {
 public:
  // REQUIRES: `request` has prompt_token_ids and a seed. Every run must draw the same numbers, also
  // the one after a run that died before it could say its seed.
  explicit EngineOutput(v1::GenerateRequest request);

  // What the next run is to be asked: the request, and the tokens so far as resume_token_ids.
  // Log-probabilities of the prompt are asked for until they are complete.
  v1::GenerateRequest NextRun();

  // Takes a chunk of the run that NextRun was called for last.
  void Add(const v1::GenerateChunk& chunk);
  // From that position in the output on a thought is to be closed; the first call counts.
  void EndThinkingAt(int32_t position);
  // A stop string was found: the answer ends here, what follows the first `count` tokens is
  // dropped.
  void Stop(size_t count);

  const v1::GenerateRequest& request() const { return request_; }
  const std::vector<int32_t>& ids() const { return ids_; }
  // One per id if they were asked for, else none.
  const std::vector<TokenLogprobs>& logprobs() const { return logprobs_; }
  // Of every prompt token if they were asked for; the first, which nothing predicts, has NaN.
  const std::vector<TokenLogprobs>& prompt_logprobs() const { return prompt_logprobs_; }

  // "stop" or "length" once the answer is complete, else empty.
  const std::string& finish_reason() const { return finish_reason_; }
  bool aborted() const { return aborted_; }  // somebody has called Abort
  // The token that ended the answer and was one of the request's own stop_token_ids.
  std::optional<int32_t> stop_token_id() const;
  // Of the prompt, as the run that has ended the answer found it.
  int32_t cached_tokens() const { return cached_tokens_; }
  // Tokens guessed by speculation, and those that held, in that run.
  int32_t draft_tokens() const { return draft_tokens_; }
  int32_t accepted_draft_tokens() const { return accepted_draft_tokens_; }

 private:
  void AddPromptLogprobs(const v1::GenerateChunk& chunk);

  v1::GenerateRequest request_;
  std::vector<int32_t> ids_;
  std::vector<TokenLogprobs> logprobs_;
  std::vector<TokenLogprobs> prompt_logprobs_;
  std::string finish_reason_;
  bool aborted_ = false;
  std::optional<int32_t> stop_token_id_;
  int32_t cached_tokens_ = 0;
  int32_t draft_tokens_ = 0;
  int32_t accepted_draft_tokens_ = 0;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_GENERATION_ENGINE_OUTPUT_H_
