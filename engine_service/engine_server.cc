#include "engine_service/engine_server.h"

#include <utility>

#include "common/grpc_status.h"
#include "common/status_macros.h"
#include "engine_service/convert.h"
#include "engine_service/drain_calls.h"
#include "engine_service/generate_calls.h"
#include "engine_service/generate_many.h"
#include "engine_service/load_watchers.h"
#include "vallm/v1/engine.grpc.pb.h"

namespace vallm::engine {
namespace {

// For calls that are still open when the grace is over: they have been told, they only have to end.
constexpr absl::Duration kCloseTime = absl::Seconds(1);

}  // namespace

class EngineServer::Service final : public v1::Engine::CallbackService {
 public:
  Service(const CallContext& context, GenerateManyCalls& many, DrainCalls& drains,
          LoadWatchers& watchers)
      : context_(context), many_(many), drains_(drains), watchers_(watchers) {}

  grpc::ServerUnaryReactor* Generate(grpc::CallbackServerContext* rpc,
                                     const v1::GenerateRequest* request,
                                     v1::GenerateResponse* response) override {
    return StartGenerate(context_, *rpc, *request, *response);
  }
  grpc::ServerWriteReactor<v1::GenerateChunk>* GenerateStream(
      grpc::CallbackServerContext* rpc, const v1::GenerateRequest* request) override {
    return StartGenerateStream(context_, *rpc, *request);
  }
  GenerateManyCalls::Reactor* GenerateMany(grpc::CallbackServerContext* rpc) override {
    return many_.Start(*rpc);
  }
  grpc::ServerUnaryReactor* Abort(grpc::CallbackServerContext* rpc, const v1::AbortRequest* request,
                                  v1::AbortResponse* /*response*/) override {
    auto* reactor = rpc->DefaultReactor();
    reactor->Finish(ToGrpc(context_.engine.Abort(request->request_id())));
    return reactor;
  }
  grpc::ServerUnaryReactor* EndThinking(grpc::CallbackServerContext* rpc,
                                        const v1::EndThinkingRequest* request,
                                        v1::EndThinkingResponse* response) override {
    const absl::StatusOr<int32_t> position = context_.engine.EndThinking(request->request_id());
    if (position.ok()) response->set_end_position(*position);
    auto* reactor = rpc->DefaultReactor();
    reactor->Finish(ToGrpc(position.status()));
    return reactor;
  }
  grpc::ServerUnaryReactor* ResetPrefixCache(grpc::CallbackServerContext* rpc,
                                             const v1::ResetPrefixCacheRequest* /*request*/,
                                             v1::ResetPrefixCacheResponse* response) override {
    response->set_dropped_block_count(context_.engine.ResetPrefixCache());
    auto* reactor = rpc->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  grpc::ServerUnaryReactor* Drain(grpc::CallbackServerContext* /*rpc*/,
                                  const v1::DrainRequest* /*request*/,
                                  v1::DrainResponse* response) override {
    return drains_.Start(*response);
  }
  grpc::ServerUnaryReactor* GetModelInfo(grpc::CallbackServerContext* rpc,
                                         const v1::GetModelInfoRequest* /*request*/,
                                         v1::ModelInfo* response) override {
    *response = ToProto(context_.engine.model_info());
    auto* reactor = rpc->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  grpc::ServerWriteReactor<v1::Load>* WatchLoad(grpc::CallbackServerContext* /*rpc*/,
                                                const v1::WatchLoadRequest* request) override {
    return watchers_.Watch(*request);
  }

 private:
  const CallContext context_;
  GenerateManyCalls& many_;
  DrainCalls& drains_;
  LoadWatchers& watchers_;
};

// In this order: calls use the service, the service the watchers, all of them the engine.
struct EngineServer::Parts {
  engine::Engine& engine;
  EngineMetrics& metrics;
  Mutex mu;
  GrpcServer* health ABSL_GUARDED_BY(mu) = nullptr;
  GenerateManyCalls many;
  DrainCalls drains;
  LoadWatchers watchers;
  Service service;
  std::unique_ptr<GrpcServer> server;

  Parts(engine::Engine& the_engine, EngineMetrics& the_metrics,
        const tokenizer::Tokenizer* tokenizer)
      : engine(the_engine),
        metrics(the_metrics),
        many({the_engine, the_metrics, tokenizer}),
        drains(the_engine),
        watchers(the_engine, [this](const EngineLoad& load) { OnLoad(load); }),
        service({the_engine, the_metrics, tokenizer}, many, drains, watchers) {
    metrics.OnCache(engine.scheduler_options());
    engine.SetStepListener([this](const StepStats& step) {
      many.FlushStep();
      metrics.OnStep(step);
    });
  }
  ~Parts() { engine.SetStepListener(nullptr); }

  void OnLoad(const EngineLoad& load) {
    metrics.OnLoad(load);
    drains.OnLoad(load);
    MutexLock lock(mu);
    if (health != nullptr) health->SetServing(load.state == EngineState::kServing);
  }
};

absl::StatusOr<std::unique_ptr<EngineServer>> EngineServer::Start(
    const std::string& address, engine::Engine& engine, EngineMetrics& metrics,
    const tokenizer::Tokenizer* tokenizer, const TlsFiles& tls) {
  auto parts = std::make_unique<Parts>(engine, metrics, tokenizer);
  VALLM_ASSIGN_OR_RETURN(parts->server,
                         GrpcServer::Start(address, {{"vallm.v1.Engine", &parts->service}}, tls));
  {
    MutexLock lock(parts->mu);
    parts->health = parts->server.get();
  }
  parts->OnLoad(engine.load());
  return std::unique_ptr<EngineServer>(new EngineServer(std::move(parts)));
}

EngineServer::EngineServer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

EngineServer::~EngineServer() { Drain(absl::ZeroDuration()); }

int EngineServer::port() const { return parts_->server->port(); }

void EngineServer::Drain(absl::Duration grace) {
  parts_->engine.Drain(grace);
  parts_->many.Stop();
  parts_->watchers.Stop();
  parts_->drains.Stop();
  parts_->server->Shutdown(kCloseTime);
}

}  // namespace vallm::engine
