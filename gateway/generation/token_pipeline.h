// One choice of a request, from an engine's tokens to events:
//
//   engine GenerateStream ──tokens──▶ tokenizer ParseStream ──events──▶ NoticeQueue
//
// Tokens are handed on inside the gRPC callbacks, so that the request's thread wakes once per
// event. The engine's stream is read as fast as it comes, and its slot is given back the moment it
// ends, however slowly the client reads. Memory is bounded all the same: token ids wait here, at
// most max_tokens of four bytes each, with the log-probabilities that were asked for at eight bytes
// each; and while the request's thread lags behind the parser is fed no more, so that texts do not
// pile up.
//
// Thread-safe. The calls keep the pipeline alive until they have ended, whoever else drops it.
#ifndef VALLM_GATEWAY_GENERATION_TOKEN_PIPELINE_H_
#define VALLM_GATEWAY_GENERATION_TOKEN_PIPELINE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "gateway/generation/event.h"
#include "gateway/generation/notice_queue.h"
#include "gateway/routing/instance_pool.h"
#include "vallm/v1/engine.grpc.pb.h"
#include "vallm/v1/tokenizer.grpc.pb.h"

namespace vallm::gateway {

struct PipelineSpec {
  int choice = 0;
  std::string request_id;  // travels to the services as metadata
  v1::GenerateRequest engine_request;
  v1::ParseOptions parse_options;
};

class TokenPipeline : public std::enable_shared_from_this<TokenPipeline> {
 public:
  static std::shared_ptr<TokenPipeline> Create(PipelineSpec spec,
                                               std::shared_ptr<NoticeQueue> queue);

  // Opens the parser's stream and waits for the service if it is away. Call first; again after it
  // has failed with UNAVAILABLE, to have all events once more from the first token on.
  void OpenParser(v1::Tokenizer::Stub& tokenizer);
  // Starts to generate on the slot, which is given back when the engine's call has ended. Call
  // once.
  void Generate(InstancePool::Lease lease);
  // Since when the parser's stream waits for the service; InfiniteFuture when it does not.
  absl::Time waits_for_tokenizer_since();
  // The request's thread has dealt with one TokensNotice.
  void Consumed();
  // Ends both calls; no notice follows but those queued already. Idempotent.
  void Cancel();

 private:
  class EngineCall;
  class ParserCall;
  friend class EngineCall;
  friend class ParserCall;

  TokenPipeline(PipelineSpec spec, std::shared_ptr<NoticeQueue> queue);

  // From the engine's call.
  void OnAdmitted(EngineCall* call);
  void OnChunk(EngineCall* call);
  void OnEngineDone(EngineCall* call, absl::Status status);
  // From the parser's call. OnParsed returns false when the call will read no more.
  void OnParserWritten(ParserCall* call, bool ok);
  bool OnParsed(ParserCall* call, bool ok);
  void OnParserDone(ParserCall* call, absl::Status status);

  // Sends the parser its next message, as far as the bounds allow.
  void FeedParserLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void AddEventLocked(v1::ParseEvent&& event, TokensNotice* notice)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The log-probabilities of the tokens that `event` lists go to unsent_logprobs_.
  void TakeLogprobsLocked(const v1::ParseEvent& event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  GenerationEvent FinishEventLocked(v1::ParseFinish&& finish) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void FailLocked(FailedNotice::Service service, absl::Status status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void EndEngineLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void EndParserLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const PipelineSpec spec_;
  const std::shared_ptr<NoticeQueue> queue_;
  // With stop strings the parser gets tokens one by one: the answer to a token then says exactly
  // how many tokens the text up to the stop has taken.
  const bool one_by_one_;

  Mutex mu_;
  bool over_ ABSL_GUARDED_BY(mu_) = false;  // finished, failed or cancelled

  EngineCall* engine_ ABSL_GUARDED_BY(mu_) = nullptr;  // the current one; null when it has ended
  std::vector<int32_t> ids_ ABSL_GUARDED_BY(mu_);      // what the engine has generated
  std::vector<TokenLogprobs> logprobs_ ABSL_GUARDED_BY(mu_);  // of ids_, if asked for
  std::vector<TokenLogprobs> prompt_logprobs_ ABSL_GUARDED_BY(mu_);
  std::string engine_reason_ ABSL_GUARDED_BY(mu_);  // set once the engine has said how it ended
  v1::Usage engine_usage_ ABSL_GUARDED_BY(mu_);
  std::optional<int32_t> stop_token_id_ ABSL_GUARDED_BY(mu_);

  ParserCall* parser_ ABSL_GUARDED_BY(mu_) = nullptr;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  absl::Time waits_since_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();
  bool finish_sent_ ABSL_GUARDED_BY(mu_) = false;
  size_t fed_ ABSL_GUARDED_BY(mu_) = 0;              // of ids_, sent to the parser
  std::deque<int> unanswered_ ABSL_GUARDED_BY(mu_);  // token counts of messages under way
  int64_t parsed_count_ ABSL_GUARDED_BY(mu_) = 0;    // tokens the parser has answered
  size_t logprobs_given_ ABSL_GUARDED_BY(mu_) = 0;   // of logprobs_, put into events
  std::vector<TokenLogprobs> unsent_logprobs_ ABSL_GUARDED_BY(mu_);  // for the next event
  std::optional<std::string> stop_hit_ ABSL_GUARDED_BY(mu_);
  int unconsumed_ ABSL_GUARDED_BY(mu_) = 0;  // notices the request has yet to deal with
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_GENERATION_TOKEN_PIPELINE_H_
