#include "gateway/generation/token_pipeline.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/grpc_status.h"

namespace vallm::gateway {
namespace {

// Tokens in one message to the parser: bounds what one answer can hold.
constexpr size_t kMaxTokensPerMessage = 256;
// Messages to the parser that may wait for their answer. More than one hides the round trip; few
// make tokens gather into larger messages when the parser is busy.
constexpr size_t kMaxUnanswered = 4;
constexpr int kMaxUnconsumed = 64;

TokenLogprobs FromProto(int32_t token_id, const v1::TokenLogprobs& proto) {
  TokenLogprobs logprobs{
      .token_id = token_id, .logprob = proto.logprob(), .rank = proto.rank(), .top = {}};
  for (const v1::TokenLogprob& token : proto.top()) {
    logprobs.top.emplace_back(token.token_id(), token.logprob());
  }
  return logprobs;
}

}  // namespace

// Reads until the stream ends. Both calls own themselves until OnDone.
class TokenPipeline::EngineCall final : public grpc::ClientReadReactor<v1::GenerateChunk> {
 public:
  EngineCall(std::shared_ptr<TokenPipeline> pipeline, InstancePool::Lease slot)
      : lease(std::move(slot)), pipeline_(std::move(pipeline)) {}

  void Start() {
    context.AddMetadata("x-request-id", pipeline_->spec_.request_id);
    lease.stub()->async()->GenerateStream(&context, &pipeline_->spec_.engine_request, this);
    StartRead(&chunk);
    StartCall();
  }

  InstancePool::Lease lease;
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
    pipeline_->OnEngineDone(this, FromGrpc(status));
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
      one_by_one_(spec_.parse_options.stop_size() > 0) {
  if (!spec_.engine_request.has_prompt_logprobs()) return;
  // Nothing predicts the first token.
  prompt_logprobs_.push_back({.token_id = spec_.engine_request.prompt_token_ids().ids(0),
                              .logprob = std::numeric_limits<float>::quiet_NaN(),
                              .top = {},
                              .shows = true});
}

void TokenPipeline::OpenParser(v1::Tokenizer::Stub& tokenizer) {
  MutexLock lock(mu_);
  if (over_) return;
  fed_ = 0;
  logprobs_given_ = 0;
  unsent_logprobs_.clear();
  unanswered_.clear();
  parsed_count_ = 0;
  stop_hit_.reset();
  finish_sent_ = false;
  writing_ = true;
  waits_since_ = absl::Now();
  parser_ = new ParserCall(shared_from_this());
  parser_->Start(tokenizer);
}

absl::Time TokenPipeline::waits_for_tokenizer_since() {
  MutexLock lock(mu_);
  return waits_since_;
}

void TokenPipeline::Generate(InstancePool::Lease lease) {
  auto* call = new EngineCall(shared_from_this(), std::move(lease));
  MutexLock lock(mu_);
  engine_ = call;
  call->Start();
  if (over_) EndEngineLocked();
}

void TokenPipeline::Consumed() {
  MutexLock lock(mu_);
  --unconsumed_;
  FeedParserLocked();
}

void TokenPipeline::Cancel() {
  MutexLock lock(mu_);
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
  if (call == engine_ && !over_) queue_->Push({spec_.choice, AdmittedNotice{}});
}

void TokenPipeline::OnChunk(EngineCall* call) {
  MutexLock lock(mu_);
  if (call != engine_) return;
  const v1::GenerateChunk& chunk = call->chunk;
  ids_.insert(ids_.end(), chunk.token_ids().begin(), chunk.token_ids().end());
  for (int i = 0; i < chunk.logprobs_size() && i < chunk.token_ids_size(); ++i) {
    logprobs_.push_back(FromProto(chunk.token_ids(i), chunk.logprobs(i)));
  }
  for (const v1::TokenLogprobs& logprobs : chunk.prompt_logprobs()) {
    const auto& prompt_ids = spec_.engine_request.prompt_token_ids().ids();
    const int position = static_cast<int>(prompt_logprobs_.size());
    if (position >= prompt_ids.size()) break;
    prompt_logprobs_.push_back(FromProto(prompt_ids[position], logprobs));
    prompt_logprobs_.back().shows = true;
  }
  switch (chunk.finish_reason()) {
    case v1::FINISH_REASON_UNSPECIFIED:
      break;
    case v1::FINISH_REASON_STOP:
      engine_reason_ = "stop";
      break;
    case v1::FINISH_REASON_LENGTH:
      engine_reason_ = "length";
      break;
    default:
      engine_reason_ = "abort";
      break;
  }
  if (chunk.has_usage()) engine_usage_ = chunk.usage();
  if (chunk.has_stop_token_id()) stop_token_id_ = chunk.stop_token_id();
  FeedParserLocked();
}

void TokenPipeline::OnEngineDone(EngineCall* call, absl::Status status) {
  MutexLock lock(mu_);
  if (call != engine_) return;
  engine_ = nullptr;
  if (over_) return;
  if (absl::IsCancelled(status)) {  // not by us: the call would not be the current one
    status = absl::UnavailableError(absl::StrCat("cancelled by the engine: ", status.message()));
  }
  if (absl::IsUnavailable(status)) call->lease.ReportUnavailable();
  if (status.ok() && engine_reason_ == "abort") {
    status = absl::AbortedError("the request was aborted");
  } else if (status.ok() && engine_reason_.empty()) {
    status = absl::InternalError("the engine ended the answer without a finish reason");
  }
  // A reason that came with tokens stands, whatever became of the connection afterwards.
  if (!status.ok() && (engine_reason_.empty() || engine_reason_ == "abort")) {
    FailLocked(FailedNotice::Service::kEngine, std::move(status));
  }
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
  if (!unanswered_.empty()) {
    notice.token_count = unanswered_.front();
    unanswered_.pop_front();
  }
  if (!stop_hit_.has_value()) parsed_count_ += notice.token_count;
  for (v1::ParseEvent& event : *call->events.mutable_events()) {
    AddEventLocked(std::move(event), &notice);
  }
  notice.arrived = absl::Now();
  ++unconsumed_;
  queue_->Push({spec_.choice, std::move(notice)});
  call->StartRead(&call->events);
  FeedParserLocked();
  return true;
}

void TokenPipeline::OnParserDone(ParserCall* call, absl::Status status) {
  MutexLock lock(mu_);
  if (call != parser_) return;
  parser_ = nullptr;
  if (over_) return;
  if (status.ok()) status = absl::InternalError("the parser ended before the answer");
  if (absl::IsCancelled(status)) {  // not by us: the call would not be the current one
    status = absl::UnavailableError(absl::StrCat("cancelled by the tokenizer: ", status.message()));
  }
  FailLocked(FailedNotice::Service::kTokenizer, std::move(status));
}

void TokenPipeline::AddEventLocked(v1::ParseEvent&& event, TokensNotice* notice) {
  using Kind = GenerationEvent::Kind;
  GenerationEvent out;
  out.choice = spec_.choice;
  out.usage.completion_tokens = parsed_count_;
  TakeLogprobsLocked(event);
  switch (event.event_case()) {
    case v1::ParseEvent::kReasoning:
      out.kind = Kind::kReasoning;
      out.text = std::move(*event.mutable_reasoning());
      break;
    case v1::ParseEvent::kContent:
      out.kind = Kind::kContent;
      out.text = std::move(*event.mutable_content());
      break;
    case v1::ParseEvent::kToolCallStart:
      out.kind = Kind::kToolCallStart;
      out.tool_index = event.tool_call_start().index();
      out.text = std::move(*event.mutable_tool_call_start()->mutable_name());
      break;
    case v1::ParseEvent::kToolCallArguments:
      out.kind = Kind::kToolCallArguments;
      out.tool_index = event.tool_call_arguments().index();
      out.text = std::move(*event.mutable_tool_call_arguments()->mutable_text());
      break;
    case v1::ParseEvent::kStopHit:
      stop_hit_ = std::move(*event.mutable_stop_hit()->mutable_stop());
      engine_reason_ = "stop";
      ids_.resize(fed_);
      EndEngineLocked();
      return;
    case v1::ParseEvent::kFinish:
      out = FinishEventLocked(std::move(*event.mutable_finish()));
      over_ = true;
      break;
    default:
      return;  // an event of a newer tokenizer
  }
  out.logprobs = std::exchange(unsent_logprobs_, {});
  notice->events.push_back(std::move(out));
}

void TokenPipeline::TakeLogprobsLocked(const v1::ParseEvent& event) {
  for (const v1::TokenRun& run : event.token_runs()) {
    const bool shows =
        run.role() == v1::TOKEN_ROLE_CONTENT || run.role() == v1::TOKEN_ROLE_REASONING;
    for (int64_t i = 0; i < run.token_count() && logprobs_given_ < logprobs_.size(); ++i) {
      unsent_logprobs_.push_back(logprobs_[logprobs_given_++]);
      unsent_logprobs_.back().shows = shows;
    }
  }
}

GenerationEvent TokenPipeline::FinishEventLocked(v1::ParseFinish&& finish) {
  GenerationEvent event;
  event.choice = spec_.choice;
  event.kind = GenerationEvent::Kind::kFinish;
  event.text = std::move(*finish.mutable_finish_reason());
  event.prompt_logprobs = prompt_logprobs_;
  if (stop_hit_.has_value()) {
    event.stop_reason = *stop_hit_;
  } else if (stop_token_id_.has_value()) {
    const auto& asked = spec_.engine_request.stop().stop_token_ids();
    // The model's own end of sequence is no reason worth naming.
    if (std::find(asked.begin(), asked.end(), *stop_token_id_) != asked.end()) {
      event.stop_reason = *stop_token_id_;
    }
  }
  event.usage.prompt_tokens = spec_.engine_request.prompt_token_ids().ids_size();
  event.usage.cached_tokens = engine_usage_.cached_token_count();
  event.usage.completion_tokens = parsed_count_;
  event.usage.reasoning_tokens = std::min(finish.reasoning_token_count(), parsed_count_);
  return event;
}

void TokenPipeline::FailLocked(FailedNotice::Service service, absl::Status status) {
  // The engine runs on while a lost parser may be opened again.
  const bool reparse = service == FailedNotice::Service::kTokenizer && absl::IsUnavailable(status);
  if (!reparse) {
    over_ = true;
    EndEngineLocked();
    EndParserLocked();
  }
  queue_->Push({spec_.choice, FailedNotice{service, std::move(status)}});
}

void TokenPipeline::FeedParserLocked() {
  if (over_ || parser_ == nullptr || writing_ || finish_sent_) return;
  if (unanswered_.size() >= kMaxUnanswered || unconsumed_ >= kMaxUnconsumed) return;
  v1::ParseStreamRequest& request = parser_->request;
  if (fed_ < ids_.size()) {
    const size_t count = one_by_one_ ? 1 : std::min(ids_.size() - fed_, kMaxTokensPerMessage);
    auto* ids = request.mutable_tokens()->mutable_token_ids();
    const int32_t* begin = ids_.data() + fed_;
    ids->Assign(begin, begin + count);
    fed_ += count;
    unanswered_.push_back(static_cast<int>(count));
    writing_ = true;
    parser_->StartWrite(&request);
  } else if (!engine_reason_.empty() && engine_reason_ != "abort") {
    request.mutable_finish()->set_finish_reason(engine_reason_);
    unanswered_.push_back(0);
    finish_sent_ = true;
    writing_ = true;
    parser_->StartWriteLast(&request, grpc::WriteOptions());
  }
}

}  // namespace vallm::gateway
