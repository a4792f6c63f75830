#include "engine_service/drain_calls.h"

#include <utility>

#include "engine_service/convert.h"

namespace vallm::engine {

// Whoever takes it out of `open_` calls Finish, once; OnDone follows that and nothing else.
class DrainCalls::Call final : public grpc::ServerUnaryReactor {
 public:
  Call(DrainCalls& owner, v1::DrainResponse& response) : owner_(owner), response_(response) {}

  void Answer(const EngineLoad& load) {
    *response_.mutable_load() = ToProto(load);
    Finish(grpc::Status::OK);
  }
  void TurnAway() { Finish({grpc::StatusCode::UNAVAILABLE, "the engine is stopping"}); }

 private:
  void OnCancel() override {
    {
      MutexLock lock(owner_.mu_);
      if (owner_.open_.erase(this) == 0) return;
    }
    Finish({grpc::StatusCode::CANCELLED, "the caller cancelled; the engine goes on draining"});
  }
  void OnDone() override {
    {
      MutexLock lock(owner_.mu_);
      --owner_.live_;
      owner_.gone_.NotifyAll();
    }
    delete this;
  }

  DrainCalls& owner_;
  v1::DrainResponse& response_;  // gRPC's, until Finish
};

DrainCalls::~DrainCalls() {
  MutexLock lock(mu_);
  while (live_ > 0) gone_.Wait(mu_);
}

grpc::ServerUnaryReactor* DrainCalls::Start(v1::DrainResponse& response) {
  auto* call = new Call(*this, response);
  bool stopped = false;
  {
    MutexLock lock(mu_);
    ++live_;
    stopped = stopped_;
    if (!stopped) open_.insert(call);
  }
  if (stopped) {
    call->TurnAway();
    return call;
  }
  engine_.StopAdmission();
  OnLoad(engine_.load());
  return call;
}

void DrainCalls::OnLoad(const EngineLoad& load) {
  if (load.state != EngineState::kDraining || load.running + load.waiting > 0) return;
  std::set<Call*> drained;
  {
    MutexLock lock(mu_);
    drained = std::exchange(open_, {});
  }
  for (Call* call : drained) call->Answer(load);
}

void DrainCalls::Stop() {
  std::set<Call*> open;
  {
    MutexLock lock(mu_);
    stopped_ = true;
    open = std::exchange(open_, {});
  }
  for (Call* call : open) call->TurnAway();
}

}  // namespace vallm::engine
