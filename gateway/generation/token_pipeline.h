// One choice of a request, from an engine's tokens to events:
//
//   EngineStream ──tokens──▶ AnswerParser ──events──▶ NoticeQueue
//
// The engine can be replaced while the answer goes on: a run on another one continues from the
// tokens so far. Whether to, and where, is decided by the request (generation.h).
//
// Tokens are parsed inside the gRPC callbacks, so that the request's thread wakes once per event.
// What the engine says is read as fast as it comes, and its slot is given back the moment it ends,
// however slowly the client reads. Memory is bounded all the same: token ids wait here, at most
// max_tokens of four bytes each, with the log-probabilities that were asked for at eight bytes
// each; and while the request's thread lags behind nothing is parsed, so that texts do not pile up.
//
// Thread-safe. A run keeps the pipeline alive until it has ended, whoever else drops it.
#ifndef VALLM_GATEWAY_GENERATION_TOKEN_PIPELINE_H_
#define VALLM_GATEWAY_GENERATION_TOKEN_PIPELINE_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "gateway/generation/answer_parser.h"
#include "gateway/generation/engine_output.h"
#include "gateway/generation/notice_queue.h"
#include "gateway/request_id.h"
#include "gateway/routing/engine_stream.h"
#include "gateway/routing/instance_pool.h"
#include "vallm/v1/engine.pb.h"

namespace vallm::gateway {

struct PipelineSpec {
  int choice = 0;
  RequestId request_id;  // travels to the engine as metadata
  v1::GenerateRequest engine_request;
  std::unique_ptr<AnswerParser> parser;
  // Nobody looks at the answer before its end: after the first tokens the request's thread is woken
  // once.
  bool whole = false;
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
};

class TokenPipeline : public std::enable_shared_from_this<TokenPipeline> {
 public:
  static std::shared_ptr<TokenPipeline> Create(PipelineSpec spec,
                                               std::shared_ptr<NoticeQueue> queue);

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
  // The tokens that engines have generated so far, told or not.
  int token_count();
  // The request's thread has dealt with one TokensNotice.
  void Consumed();
  // Ends the run; no notice follows but those queued already. Idempotent.
  void Cancel();

 private:
  class EngineRun;
  friend class EngineRun;

  TokenPipeline(PipelineSpec spec, std::shared_ptr<NoticeQueue> queue);

  // From the engine's run.
  void OnAdmitted(EngineRun* run);
  void OnChunk(EngineRun* run, const v1::GenerateChunk& chunk);
  void OnEnd(EngineRun* run, const EngineRunEnd& end);
  void EndRunLocked(EngineRun& run, const EngineRunEnd& end) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Parses what has come, as far as the bounds allow.
  void ParseLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void EndLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void EndEngineLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const int choice_;
  const RequestId request_id_;
  const std::shared_ptr<NoticeQueue> queue_;
  const bool whole_;

  Mutex mu_;
  bool over_ ABSL_GUARDED_BY(mu_) = false;  // finished, failed or cancelled

  EngineOutput engine_output_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<EngineRun> engine_
      ABSL_GUARDED_BY(mu_);  // the current one; null when it has ended
  int run_count_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Time quiet_since_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();

  const std::unique_ptr<AnswerParser> parser_ ABSL_PT_GUARDED_BY(mu_);
  TokensNotice held_ ABSL_GUARDED_BY(mu_);   // not pushed yet
  int unconsumed_ ABSL_GUARDED_BY(mu_) = 0;  // notices the request has yet to deal with
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_GENERATION_TOKEN_PIPELINE_H_
