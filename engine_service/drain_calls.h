// The Drain calls of an engine: each stops the admission and is answered when nothing runs or waits
// any more.
//
// Thread-safe.
#ifndef VALLM_ENGINE_SERVICE_DRAIN_CALLS_H_
#define VALLM_ENGINE_SERVICE_DRAIN_CALLS_H_

#include <grpcpp/support/server_callback.h>

#include <set>

#include "common/mutex.h"
#include "engine_service/engine.h"
#include "vallm/v1/engine.pb.h"

namespace vallm::engine {

class DrainCalls {
 public:
  // `engine` must outlive the calls.
  explicit DrainCalls(Engine& engine) : engine_(engine) {}
  // Waits until gRPC is done with every call. REQUIRES: Stop was called.
  ~DrainCalls();

  // Starts a call; the reactor deletes itself.
  grpc::ServerUnaryReactor* Start(v1::DrainResponse& response);

  // Answers the calls if the engine has drained. To be called when its load has changed.
  void OnLoad(const EngineLoad& load);

  // Ends all calls with UNAVAILABLE, and those that come. Idempotent.
  void Stop();

 private:
  class Call;

  Engine& engine_;
  Mutex mu_;
  CondVar gone_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  std::set<Call*> open_ ABSL_GUARDED_BY(mu_);  // not answered yet
  int live_ ABSL_GUARDED_BY(mu_) = 0;          // gRPC is not done with them
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_DRAIN_CALLS_H_
