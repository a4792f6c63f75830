#include "engine_service/generate_calls.h"

#include <grpcpp/server_context.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/engine_trailers.h"
#include "common/grpc_status.h"
#include "common/mutex.h"
#include "common/stream_writer.h"
#include "engine_service/call_record.h"
#include "engine_service/call_request.h"
#include "engine_service/convert.h"

namespace vallm::engine {
namespace {

absl::Time DeadlineOf(const grpc::CallbackServerContext& rpc) {
  const auto deadline = rpc.deadline();
  // "None" is the largest time point, or one near it after conversions.
  if (deadline > std::chrono::system_clock::now() + std::chrono::hours(24 * 365)) {
    return absl::InfiniteFuture();
  }
  return absl::FromChrono(deadline);
}

std::string LogNameOf(const grpc::CallbackServerContext& rpc, const std::string& request_id) {
  const auto it = rpc.client_metadata().find("x-request-id");
  if (it == rpc.client_metadata().end()) return request_id;
  return LogName(request_id, absl::string_view(it->second.data(), it->second.size()));
}

// ---- Unary ---------------------------------------------------------------------------------

// Lives until the engine has called OnFinish, or the request was refused: Finish is called from
// there alone, so gRPC cannot be done with it earlier.
class GenerateCall final : public grpc::ServerUnaryReactor {
 public:
  GenerateCall(const CallContext& context, v1::GenerateResponse& response,
               const std::string& request_id, const std::string& log_name)
      : engine_(context.engine), response_(response), record_(context.metrics, log_name) {
    response.set_request_id(request_id);
  }

  void Start(absl::StatusOr<GenerationRequest> request) {
    absl::Status status = request.status();
    if (request.ok()) {
      response_.set_seed(*request->sampling.seed);
      record_.Accepting(*request);
      auto submitted = engine_.Submit(*std::move(request), std::make_shared<Sink>(*this));
      if (submitted.ok()) {
        handle_ = submitted->handle;
        return;
      }
      status = submitted.status();
    }
    record_.Refused(status);
    Finish(ToGrpc(status));
  }

 private:
  class Sink final : public RequestSink {
   public:
    explicit Sink(GenerateCall& call) : call_(call) {}
    void OnStart() override {}
    void OnTokens(TokenBatch tokens) override {
      call_.record_.Tokens(tokens.token_ids.size());
      AppendTokens(tokens, call_.response_);
    }
    void OnFinish(const Completion& completion) override {
      call_.record_.Finished(completion);
      if (completion.status.ok()) SetCompletion(completion, call_.response_);
      call_.Finish(ToGrpc(completion.status));
    }

   private:
    GenerateCall& call_;
  };

  // gRPC calls it only after the handler, and with it Start, has returned.
  void OnCancel() override { engine_.Cancel(handle_); }
  void OnDone() override { delete this; }

  Engine& engine_;
  v1::GenerateResponse& response_;  // gRPC's, until Finish
  CallRecord record_;
  RequestHandle handle_ = 0;  // 0: refused, or ended at once
};

// ---- Streaming -----------------------------------------------------------------------------

// The stream may end (cancelled by the client) before the engine is done with the request: the
// sink looks through a link that is cut then.
class GenerateStreamCall final : public StreamWriter<v1::GenerateChunk> {
 public:
  GenerateStreamCall(const CallContext& context, const std::string& log_name)
      : engine_(context.engine),
        sink_(std::make_shared<Sink>(*this, CallRecord(context.metrics, log_name))) {}

  // Metadata is added here and nowhere else: later a cancellation may be reading it.
  void Start(grpc::CallbackServerContext& rpc, absl::StatusOr<GenerationRequest> request) {
    rpc.AddTrailingMetadata(kAnsweredTrailer, "1");
    absl::Status status = request.status();
    if (request.ok()) {
      sink_->Accepting(*request);
      auto submitted = engine_.Submit(*std::move(request), sink_);
      if (submitted.ok()) {
        handle_ = submitted->handle;
        return;
      }
      status = submitted.status();
    }
    sink_->Refused(status);
    rpc.AddTrailingMetadata(kRefusedTrailer, "1");
    Finish(ToGrpc(status));
  }

 private:
  class Sink final : public RequestSink {
   public:
    Sink(GenerateStreamCall& call, CallRecord record) : record_(std::move(record)), call_(&call) {}

    void Accepting(const GenerationRequest& request) {
      seed_ = *request.sampling.seed;
      record_.Accepting(request);
    }
    void Refused(const absl::Status& status) { record_.Refused(status); }
    void CutLink() {
      MutexLock lock(mu_);
      call_ = nullptr;
    }

    void OnStart() override {
      MutexLock lock(mu_);
      if (call_ != nullptr) call_->StartSendInitialMetadata();
    }
    void OnTokens(TokenBatch tokens) override {
      record_.Tokens(tokens.token_ids.size());
      v1::GenerateChunk chunk;
      AppendTokens(tokens, chunk);
      SayTheSeed(chunk);
      MutexLock lock(mu_);
      if (call_ != nullptr) call_->Send(std::move(chunk));
    }
    void OnFinish(const Completion& completion) override {
      record_.Finished(completion);
      const grpc::Status status = ToGrpc(completion.status);
      v1::GenerateChunk last;
      if (completion.status.ok()) {
        SetCompletion(completion, last);
        SayTheSeed(last);
      }
      MutexLock lock(mu_);
      if (call_ == nullptr) return;
      completion.status.ok() ? call_->FinishWith(std::move(last), status) : call_->Finish(status);
    }

   private:
    void SayTheSeed(v1::GenerateChunk& chunk) {
      if (std::exchange(first_, false)) chunk.set_seed(seed_);
    }

    CallRecord record_;
    int64_t seed_ = 0;
    bool first_ = true;
    Mutex mu_;
    GenerateStreamCall* call_ ABSL_GUARDED_BY(mu_);  // null once the stream has ended
  };

  // What a slow reader has not taken yet becomes one chunk, never more than one answer.
  void Merge(v1::GenerateChunk& parked, v1::GenerateChunk next) override { parked.MergeFrom(next); }
  void OnCancelled() override { engine_.Cancel(handle_); }
  void OnEnd() override { sink_->CutLink(); }

  Engine& engine_;
  const std::shared_ptr<Sink> sink_;
  RequestHandle handle_ = 0;  // 0: refused, or ended at once
};

}  // namespace

grpc::ServerUnaryReactor* StartGenerate(const CallContext& context,
                                        grpc::CallbackServerContext& rpc,
                                        const v1::GenerateRequest& request,
                                        v1::GenerateResponse& response) {
  const std::string request_id = RequestIdOf(request);
  auto* call = new GenerateCall(context, response, request_id, LogNameOf(rpc, request_id));
  call->Start(ReadRequest(request, context.tokenizer, request_id, DeadlineOf(rpc)));
  return call;
}

grpc::ServerWriteReactor<v1::GenerateChunk>* StartGenerateStream(
    const CallContext& context, grpc::CallbackServerContext& rpc,
    const v1::GenerateRequest& request) {
  const std::string request_id = RequestIdOf(request);
  auto* call = new GenerateStreamCall(context, LogNameOf(rpc, request_id));
  call->Start(rpc, ReadRequest(request, context.tokenizer, request_id, DeadlineOf(rpc)));
  return call;
}

}  // namespace vallm::engine
