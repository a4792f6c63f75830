// The GenerateMany streams of an engine: many requests on each, and what a step yields for them in
// one message.
//
// Thread-safe.
#ifndef VALLM_ENGINE_SERVICE_GENERATE_MANY_H_
#define VALLM_ENGINE_SERVICE_GENERATE_MANY_H_

#include <grpcpp/support/server_callback.h>

#include <set>

#include "common/mutex.h"
#include "engine_service/call_context.h"
#include "vallm/v1/engine.pb.h"

namespace vallm::engine {

class GenerateManyCalls {
 public:
  using Reactor = grpc::ServerBidiReactor<v1::GenerateCommand, v1::GenerateEvents>;

  explicit GenerateManyCalls(const CallContext& context) : context_(context) {}
  // As Stop. Waits until gRPC is done with every stream.
  ~GenerateManyCalls();

  // Starts a stream; the reactor deletes itself.
  Reactor* Start(grpc::CallbackServerContext& rpc);

  // A step is over: sends what it has yielded. Tokens wait for it.
  void FlushStep();

  // Ends all streams with UNAVAILABLE, and those that come. Idempotent.
  void Stop();

 private:
  class Call;

  const CallContext context_;
  Mutex mu_;
  CondVar ended_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::set<Call*> calls_ ABSL_GUARDED_BY(mu_);
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_GENERATE_MANY_H_
