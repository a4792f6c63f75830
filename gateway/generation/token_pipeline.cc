#include "gateway/generation/token_pipeline.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/grpc_status.h"
#include "gateway/call_metadata.h"

namespace vallm::gateway {
namespace {

// Notices that may wait for the request's thread.
constexpr int kMaxUnconsumed = 64;
constexpr absl::Duration kEndThinkingTimeout = absl::Seconds(5);
constexpr absl::Duration kEndThinkingRetry = absl::Milliseconds(20);

}  // namespace

// One run and its slot.
class TokenPipeline::EngineRun final : public EngineRunListener {
 public:
  EngineRun(std::shared_ptr<TokenPipeline> pipeline, InstancePool::Lease slot)
      : lease(std::move(slot)), pipeline_(std::move(pipeline)) {}

  InstancePool::Lease lease;
  EngineStream::Run stream_run;
  bool taken = false;    // the engine has said to be at work
  bool yielded = false;  // it has given tokens

 private:
  void OnAdmitted() override { pipeline_->OnAdmitted(this); }
  void OnChunk(const v1::GenerateChunk& chunk) override { pipeline_->OnChunk(this, chunk); }
  void OnEnd(const EngineRunEnd& end) override { pipeline_->OnEnd(this, end); }

  const std::shared_ptr<TokenPipeline> pipeline_;
};

std::shared_ptr<TokenPipeline> TokenPipeline::Create(PipelineSpec spec,
                                                     std::shared_ptr<NoticeQueue> queue) {
  return std::shared_ptr<TokenPipeline>(new TokenPipeline(std::move(spec), std::move(queue)));
}

TokenPipeline::TokenPipeline(PipelineSpec spec, std::shared_ptr<NoticeQueue> queue)
    : choice_(spec.choice),
      request_id_(std::move(spec.request_id)),
      queue_(std::move(queue)),
      whole_(spec.whole),
      engine_output_(std::move(spec.engine_request)),
      parser_(std::move(spec.parser)) {}

PipelineState TokenPipeline::state() {
  MutexLock lock(mu_);
  return {.runs = engine_ != nullptr,
          .taken = engine_ != nullptr && engine_->taken,
          .yielded = engine_ != nullptr && engine_->yielded,
          .begun = !engine_output_.ids().empty(),
          .complete = over_ || !engine_output_.finish_reason().empty(),
          .quiet_since = engine_ != nullptr ? quiet_since_ : absl::InfiniteFuture()};
}

int TokenPipeline::Run(InstancePool::Lease lease) {
  MutexLock lock(mu_);
  ++run_count_;
  if (over_ || !engine_output_.finish_reason().empty()) return run_count_;
  EndEngineLocked();
  v1::GenerateStart start;
  *start.mutable_request() = engine_output_.NextRun();
  ForEachMetadata(request_id_, [&start](const char* name, const std::string& value) {
    (*start.mutable_metadata())[name] = value;
  });
  engine_ = std::make_shared<EngineRun>(shared_from_this(), std::move(lease));
  quiet_since_ = absl::Now();
  auto started = engine_->lease.stream().Start(std::move(start), engine_);
  if (started.ok()) {
    engine_->stream_run = *std::move(started);
    return run_count_;
  }
  engine_ = nullptr;
  over_ = true;
  queue_->Push({choice_, RunEndedNotice{.run = run_count_,
                                        .end = RunEnd::kFault,
                                        .taken = false,
                                        .yielded = false,
                                        .status = started.status()}});
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
    AddMetadata(request_id_, context);
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

int TokenPipeline::token_count() {
  MutexLock lock(mu_);
  return static_cast<int>(engine_output_.ids().size());
}

void TokenPipeline::Consumed() {
  MutexLock lock(mu_);
  --unconsumed_;
  ParseLocked();
}

void TokenPipeline::Cancel() {
  MutexLock lock(mu_);
  EndLocked();
}

void TokenPipeline::EndLocked() {
  over_ = true;
  EndEngineLocked();
}

void TokenPipeline::EndEngineLocked() {
  if (engine_ == nullptr) return;
  engine_->stream_run.Cancel();
  engine_ = nullptr;
}

void TokenPipeline::OnAdmitted(EngineRun* run) {
  {
    MutexLock lock(mu_);
    run->taken = true;
    if (run != engine_.get() || over_) return;
    queue_->Push({choice_, AdmittedNotice{}});
  }
  queue_->Deliver();
}

void TokenPipeline::OnChunk(EngineRun* run, const v1::GenerateChunk& chunk) {
  {
    MutexLock lock(mu_);
    if (run != engine_.get()) return;
    quiet_since_ = absl::Now();
    if (!run->yielded && chunk.token_ids_size() > 0) {
      run->yielded = true;
      run->lease.ReportSuccess();
    }
    engine_output_.Add(chunk);
    ParseLocked();
  }
  queue_->Deliver();
}

void TokenPipeline::OnEnd(EngineRun* run, const EngineRunEnd& end) {
  {
    MutexLock lock(mu_);
    if (run == engine_.get()) EndRunLocked(*run, end);
  }
  queue_->Deliver();
}

void TokenPipeline::EndRunLocked(EngineRun& run, const EngineRunEnd& end) {
  engine_ = nullptr;
  // A reason that came with tokens stands, whatever became of the connection afterwards.
  if (over_ || !engine_output_.finish_reason().empty()) return;
  RunEndedNotice notice = {.run = run_count_,
                           .end = RunEnd::kFault,
                           .taken = run.taken,
                           .yielded = run.yielded,
                           .status = {}};
  if (engine_output_.aborted()) {
    notice.status = absl::AbortedError("the request was aborted");
  } else if (end.status.ok()) {
    notice.status = absl::InternalError("the engine ended the answer without a finish reason");
  } else {
    notice.end = ClassifyRunEnd(end, /*again=*/run_count_ > 1);
    notice.status = end.status;
  }
  if (notice.end == RunEnd::kDied) run.lease.ReportFailure();
  if (notice.end == RunEnd::kRefused &&
      (absl::IsUnavailable(notice.status) || absl::IsUnimplemented(notice.status))) {
    run.lease.ReportRefusal();
  }
  if (notice.end == RunEnd::kFault) EndLocked();
  queue_->Push({choice_, std::move(notice)});
}

void TokenPipeline::ParseLocked() {
  if (over_ || unconsumed_ >= kMaxUnconsumed) return;
  const int64_t before = parser_->parsed_count();
  if (absl::Status status = parser_->Parse(engine_output_, &held_.events); !status.ok()) {
    EndLocked();
    queue_->Push({choice_, ParsingFailedNotice{std::move(status)}});
    return;
  }
  held_.token_count += static_cast<int>(parser_->parsed_count() - before);
  if (parser_->stopped()) {
    engine_output_.Stop(static_cast<size_t>(parser_->parsed_count()));
    EndEngineLocked();
  }
  over_ = parser_->finished();
  if (held_.token_count == 0 && held_.events.empty()) return;
  if (whole_ && before > 0 && !over_) return;
  held_.arrived = absl::Now();
  ++unconsumed_;
  queue_->Push({choice_, std::exchange(held_, {})});
}

}  // namespace vallm::gateway
