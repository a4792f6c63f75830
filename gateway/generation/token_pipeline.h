// One choice of a request, from an engine's tokens to events:
//
//   engine GenerateStream ──tokens──▶ tokenizer ParseStream ──events──▶ NoticeQueue
//
// Either end can be replaced while the answer goes on. A run on another engine continues from the
// tokens so far; a new stream at the tokenizer is fed them all again, and what it says a second
// time is left out. Whether to, and where, is decided by the request (generation.h).
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

#include <deque>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "gateway/generation/engine_output.h"
#include "gateway/generation/notice_queue.h"
#include "gateway/generation/parser_output.h"
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

// How far a pipeline is.
struct PipelineState {
  bool runs = false;      // on an engine
  bool taken = false;     // the engine has said to be at work
  bool yielded = false;   // the run has given tokens
  bool begun = false;     // there are tokens, of whichever run
  bool complete = false;  // no engine has anything to add
  // Since when the engine has said nothing.
  absl::Time quiet_since = absl::InfiniteFuture();
  // Since when the parser's stream waits for the service; InfiniteFuture when it does not.
  absl::Time waits_for_tokenizer_since = absl::InfiniteFuture();
};

class TokenPipeline : public std::enable_shared_from_this<TokenPipeline> {
 public:
  static std::shared_ptr<TokenPipeline> Create(PipelineSpec spec,
                                               std::shared_ptr<NoticeQueue> queue);

  // Opens the parser's stream and waits for the service if it is away. Call first; again after it
  // has ended with UNAVAILABLE.
  void OpenParser(v1::Tokenizer::Stub& tokenizer);
  // Generates on the slot from the tokens so far on. A run under way is given up for it. The slot
  // is given back when the run has ended, or at once if the answer is complete. Returns the number
  // of the run, from 1; a notice of an earlier one may still be queued.
  int Run(InstancePool::Lease lease);
  // Gives up the run under way, if there is one, because its instance hangs; tells the pool.
  void AbandonRun();
  PipelineState state();
  // Closes the thought of the answer, wherever it goes on. Blocks for a call to the engine.
  // Errors: FAILED_PRECONDITION when the answer has begun or ended, or the model has no thoughts;
  // those of EndThinking else.
  absl::Status EndThinking();
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
  void OnEngineDone(EngineCall* call, const grpc::Status& status);
  // From the parser's call. OnParsed returns false when the call will read no more.
  void OnParserWritten(ParserCall* call, bool ok);
  bool OnParsed(ParserCall* call, bool ok);
  void OnParserDone(ParserCall* call, absl::Status status);

  // Sends the parser its next message, as far as the bounds allow.
  void FeedParserLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  size_t NextMessageSizeLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The parser's answer, as a notice to the request.
  absl::Status TakeAnswerLocked(ParserCall* call, TokensNotice* notice)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void EndLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void EndEngineLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void EndParserLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  PipelineSpec spec_;  // constant; its engine_request has gone to engine_output_
  const std::shared_ptr<NoticeQueue> queue_;
  // With stop strings the parser gets tokens one by one: the answer to a token then says exactly
  // how many tokens the text up to the stop has taken.
  const bool one_by_one_;

  Mutex mu_;
  bool over_ ABSL_GUARDED_BY(mu_) = false;  // finished, failed or cancelled

  EngineOutput engine_output_ ABSL_GUARDED_BY(mu_);
  EngineCall* engine_ ABSL_GUARDED_BY(mu_) = nullptr;  // the current one; null when it has ended
  int run_count_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Time quiet_since_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();

  ParserOutput parser_output_ ABSL_GUARDED_BY(mu_);
  ParserCall* parser_ ABSL_GUARDED_BY(mu_) = nullptr;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  absl::Time waits_since_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();
  bool finish_sent_ ABSL_GUARDED_BY(mu_) = false;
  size_t fed_ ABSL_GUARDED_BY(mu_) = 0;               // tokens sent on this stream
  std::deque<int> unanswered_ ABSL_GUARDED_BY(mu_);   // token counts of messages under way
  bool parser_yielded_ ABSL_GUARDED_BY(mu_) = false;  // this stream has parsed something new
  int unconsumed_ ABSL_GUARDED_BY(mu_) = 0;           // notices the request has yet to deal with
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_GENERATION_TOKEN_PIPELINE_H_
