#include "gateway/generation/token_pipeline.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/grpc_status.h"
#include "common/status_macros.h"

namespace vallm::gateway {
namespace {

// Tokens in one message to the parser: bounds what one answer can hold.
constexpr size_t kMaxTokensPerMessage = 256;
// Messages to the parser that may wait for their answer. More than one hides the round trip; few
// make tokens gather into larger messages when the parser is busy.
constexpr size_t kMaxUnanswered = 4;
constexpr int kMaxUnconsumed = 64;
constexpr absl::Duration kEndThinkingTimeout = absl::Seconds(5);
constexpr absl::Duration kEndThinkingRetry = absl::Milliseconds(20);

}  // namespace

// One run. Reads until the stream ends. Both calls own themselves until OnDone.
class TokenPipeline::EngineCall final : public grpc::ClientReadReactor<v1::GenerateChunk> {
 public:
  EngineCall(std::shared_ptr<TokenPipeline> pipeline, InstancePool::Lease slot)
      : lease(std::move(slot)), pipeline_(std::move(pipeline)) {}

  // `request` is not needed any more when it returns.
  void Start(const v1::GenerateRequest& request) {
    continues = request.resume_token_ids_size() > 0;
    context.AddMetadata("x-request-id", pipeline_->spec_.request_id);
    lease.stub()->async()->GenerateStream(&context, &request, this);
    StartRead(&chunk);
    StartCall();
  }

  InstancePool::Lease lease;
  bool continues = false;  // tokens of an earlier run
  bool taken = false;      // the engine has said to be at work
  bool yielded = false;    // it has given tokens
  grpc::ClientContext context;
  v1::GenerateChunk chunk;

 private:
  void OnReadInitialMetadataDone(bool ok) override {
    if (ok) pipeline_->OnAdmitted(this);
  }
  void OnReadDone(bool ok) override {
    if (!ok) return;  // OnDone follows
    pipeline_->OnChunk(this);
    StartRead(&chunk);
  }
  void OnDone(const grpc::Status& status) override {
    pipeline_->OnEngineDone(this, status);
    delete this;
  }

  const std::shared_ptr<TokenPipeline> pipeline_;
};

// Holds its RPC open (AddHold) until a read has failed, because writes are also started outside of
// its reactions.
class TokenPipeline::ParserCall final
    : public grpc::ClientBidiReactor<v1::ParseStreamRequest, v1::ParseEvents> {
 public:
  explicit ParserCall(std::shared_ptr<TokenPipeline> pipeline) : pipeline_(std::move(pipeline)) {}

  void Start(v1::Tokenizer::Stub& tokenizer) {
    context.AddMetadata("x-request-id", pipeline_->spec_.request_id);
    context.set_wait_for_ready(true);
    tokenizer.async()->ParseStream(&context, this);
    *request.mutable_open() = pipeline_->spec_.parse_options;
    AddHold();
    StartWrite(&request);
    StartRead(&events);
    StartCall();
  }

  grpc::ClientContext context;
  v1::ParseStreamRequest request;  // of the write under way
  v1::ParseEvents events;

 private:
  void OnWriteDone(bool ok) override { pipeline_->OnParserWritten(this, ok); }
  void OnReadDone(bool ok) override {
    if (!pipeline_->OnParsed(this, ok)) RemoveHold();
  }
  void OnDone(const grpc::Status& status) override {
    pipeline_->OnParserDone(this, FromGrpc(status));
    delete this;
  }

  const std::shared_ptr<TokenPipeline> pipeline_;
};

std::shared_ptr<TokenPipeline> TokenPipeline::Create(PipelineSpec spec,
                                                     std::shared_ptr<NoticeQueue> queue) {
  return std::shared_ptr<TokenPipeline>(new TokenPipeline(std::move(spec), std::move(queue)));
}

TokenPipeline::TokenPipeline(PipelineSpec spec, std::shared_ptr<NoticeQueue> queue)
    : spec_(std::move(spec)),
      queue_(std::move(queue)),
      one_by_one_(spec_.parse_options.stop_size() > 0),
      engine_output_(std::move(spec_.engine_request)),
      parser_output_(spec_.choice) {}

void TokenPipeline::OpenParser(v1::Tokenizer::Stub& tokenizer) {
  MutexLock lock(mu_);
  if (over_) return;
  parser_output_.Restart();
  fed_ = 0;
  unanswered_.clear();
  finish_sent_ = false;
  parser_yielded_ = false;
  writing_ = true;
  waits_since_ = absl::Now();
  parser_ = new ParserCall(shared_from_this());
  parser_->Start(tokenizer);
}

PipelineState TokenPipeline::state() {
  MutexLock lock(mu_);
  return {.runs = engine_ != nullptr,
          .taken = engine_ != nullptr && engine_->taken,
          .yielded = engine_ != nullptr && engine_->yielded,
          .begun = !engine_output_.ids().empty(),
          .complete = over_ || !engine_output_.finish_reason().empty(),
          .quiet_since = engine_ != nullptr ? quiet_since_ : absl::InfiniteFuture(),
          .waits_for_tokenizer_since = waits_since_};
}

int TokenPipeline::Run(InstancePool::Lease lease) {
  MutexLock lock(mu_);
  ++run_count_;
  if (over_ || !engine_output_.finish_reason().empty()) return run_count_;
  EndEngineLocked();
  engine_ = new EngineCall(shared_from_this(), std::move(lease));
  quiet_since_ = absl::Now();
  engine_->Start(engine_output_.NextRun());
  return run_count_;
}

void TokenPipeline::AbandonRun() {
  MutexLock lock(mu_);
  if (engine_ == nullptr) return;
  engine_->lease.ReportFailure();
  EndEngineLocked();
}

absl::Status TokenPipeline::EndThinking() {
  const absl::Time deadline = absl::Now() + kEndThinkingTimeout;
  v1::EndThinkingRequest request;
  v1::EndThinkingResponse response;
  absl::Status status;
  do {
    std::shared_ptr<v1::Engine::Stub> engine;
    {
      MutexLock lock(mu_);
      if (over_ || !engine_output_.finish_reason().empty()) {
        return absl::FailedPreconditionError("the answer has ended");
      }
      if (engine_ != nullptr) engine = engine_->lease.stub();
      request.set_request_id(engine_output_.request().request_id());
    }
    if (engine == nullptr) {
      status = absl::UnavailableError("no engine has the request");
      break;
    }
    grpc::ClientContext context;
    context.AddMetadata("x-request-id", spec_.request_id);
    context.set_deadline(absl::ToChronoTime(deadline));
    status = FromGrpc(engine->EndThinking(&context, request, &response));
    // The engine does not know the request yet, or its end is on the way.
    if (absl::IsNotFound(status)) absl::SleepFor(kEndThinkingRetry);
  } while (absl::IsNotFound(status) && absl::Now() < deadline);
  if (!status.ok() && !absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) {
    return status;
  }
  MutexLock lock(mu_);
  // An engine that cannot be told is about to be replaced: the next one closes the thought at once.
  engine_output_.EndThinkingAt(status.ok() ? response.end_position()
                                           : static_cast<int32_t>(engine_output_.ids().size()));
  return absl::OkStatus();
}

void TokenPipeline::Consumed() {
  MutexLock lock(mu_);
  --unconsumed_;
  FeedParserLocked();
}

void TokenPipeline::Cancel() {
  MutexLock lock(mu_);
  EndLocked();
}

void TokenPipeline::EndLocked() {
  over_ = true;
  EndEngineLocked();
  EndParserLocked();
}

void TokenPipeline::EndEngineLocked() {
  if (engine_ == nullptr) return;
  engine_->context.TryCancel();
  engine_ = nullptr;
}

void TokenPipeline::EndParserLocked() {
  if (parser_ == nullptr) return;
  parser_->context.TryCancel();
  parser_ = nullptr;
}

void TokenPipeline::OnAdmitted(EngineCall* call) {
  MutexLock lock(mu_);
  call->taken = true;
  if (call == engine_ && !over_) queue_->Push({spec_.choice, AdmittedNotice{}});
}

void TokenPipeline::OnChunk(EngineCall* call) {
  MutexLock lock(mu_);
  if (call != engine_) return;
  quiet_since_ = absl::Now();
  if (!call->yielded && call->chunk.token_ids_size() > 0) {
    call->yielded = true;
    call->lease.ReportSuccess();
  }
  engine_output_.Add(call->chunk);
  FeedParserLocked();
}

void TokenPipeline::OnEngineDone(EngineCall* call, const grpc::Status& grpc_status) {
  MutexLock lock(mu_);
  if (call != engine_) return;
  engine_ = nullptr;
  // A reason that came with tokens stands, whatever became of the connection afterwards.
  if (over_ || !engine_output_.finish_reason().empty()) return;
  RunEndedNotice notice = {.run = run_count_,
                           .end = RunEnd::kFault,
                           .taken = call->taken,
                           .yielded = call->yielded,
                           .status = {}};
  if (engine_output_.aborted()) {
    notice.status = absl::AbortedError("the request was aborted");
  } else if (grpc_status.ok()) {
    notice.status = absl::InternalError("the engine ended the answer without a finish reason");
  } else {
    const CallEnd end = ReadCallEnd(call->context, grpc_status, call->continues);
    notice.end = ClassifyRunEnd(end);
    notice.status = end.status;
  }
  if (notice.end == RunEnd::kDied) call->lease.ReportFailure();
  if (notice.end == RunEnd::kRefused && absl::IsUnavailable(notice.status)) {
    call->lease.ReportRefusal();
  }
  if (notice.end == RunEnd::kFault) EndLocked();
  queue_->Push({spec_.choice, std::move(notice)});
}

void TokenPipeline::OnParserWritten(ParserCall* call, bool ok) {
  MutexLock lock(mu_);
  if (call != parser_) return;
  writing_ = !ok;  // a broken stream takes no more; OnParserDone follows
  waits_since_ = absl::InfiniteFuture();
  FeedParserLocked();
}

bool TokenPipeline::OnParsed(ParserCall* call, bool ok) {
  MutexLock lock(mu_);
  if (call != parser_) return false;
  if (!ok || over_) {
    finish_sent_ = true;  // nothing more may be written; OnParserDone follows
    return false;
  }
  TokensNotice notice;
  if (absl::Status status = TakeAnswerLocked(call, &notice); !status.ok()) {
    EndLocked();
    queue_->Push({spec_.choice, ParserEndedNotice{parser_yielded_, std::move(status)}});
    return false;
  }
  // An answer that was given before is no news.
  if (notice.token_count > 0 || !notice.events.empty()) {
    parser_yielded_ = true;
    notice.arrived = absl::Now();
    ++unconsumed_;
    queue_->Push({spec_.choice, std::move(notice)});
  }
  if (parser_output_.finished()) over_ = true;
  call->StartRead(&call->events);
  FeedParserLocked();
  return true;
}

absl::Status TokenPipeline::TakeAnswerLocked(ParserCall* call, TokensNotice* notice) {
  if (!unanswered_.empty()) {
    notice->token_count = parser_output_.AddAnswer(unanswered_.front());
    unanswered_.pop_front();
  }
  const bool stopped_before = parser_output_.stopped();
  for (v1::ParseEvent& event : *call->events.mutable_events()) {
    VALLM_RETURN_IF_ERROR(parser_output_.Add(std::move(event), engine_output_, &notice->events));
  }
  if (parser_output_.stopped() && !stopped_before) {
    engine_output_.Stop(fed_);
    EndEngineLocked();
  }
  return absl::OkStatus();
}

void TokenPipeline::OnParserDone(ParserCall* call, absl::Status status) {
  MutexLock lock(mu_);
  if (call != parser_) return;
  parser_ = nullptr;
  if (over_) return;
  waits_since_ = absl::InfiniteFuture();
  if (status.ok()) status = absl::InternalError("the parser ended before the answer");
  if (absl::IsCancelled(status)) {  // not by us: the call would not be the current one
    status = absl::UnavailableError(absl::StrCat("cancelled by the tokenizer: ", status.message()));
  }
  // The engine runs on while a lost parser may be opened again.
  if (!absl::IsUnavailable(status)) EndLocked();
  queue_->Push({spec_.choice, ParserEndedNotice{parser_yielded_, std::move(status)}});
}

// What was answered before goes in large messages of its own, whatever the rules for new tokens.
size_t TokenPipeline::NextMessageSizeLocked() const {
  const auto answered = static_cast<size_t>(parser_output_.answered_count());
  if (fed_ < answered) return std::min(answered - fed_, kMaxTokensPerMessage);
  return one_by_one_ ? 1 : std::min(engine_output_.ids().size() - fed_, kMaxTokensPerMessage);
}

void TokenPipeline::FeedParserLocked() {
  if (over_ || parser_ == nullptr || writing_ || finish_sent_) return;
  if (unanswered_.size() >= kMaxUnanswered || unconsumed_ >= kMaxUnconsumed) return;
  v1::ParseStreamRequest& request = parser_->request;
  if (fed_ < engine_output_.ids().size()) {
    const size_t count = NextMessageSizeLocked();
    auto* ids = request.mutable_tokens()->mutable_token_ids();
    const int32_t* begin = engine_output_.ids().data() + fed_;
    ids->Assign(begin, begin + count);
    fed_ += count;
    unanswered_.push_back(static_cast<int>(count));
    writing_ = true;
    parser_->StartWrite(&request);
  } else if (!engine_output_.finish_reason().empty()) {
    request.mutable_finish()->set_finish_reason(engine_output_.finish_reason());
    unanswered_.push_back(0);
    finish_sent_ = true;
    writing_ = true;
    parser_->StartWriteLast(&request, grpc::WriteOptions());
  }
}

}  // namespace vallm::gateway
