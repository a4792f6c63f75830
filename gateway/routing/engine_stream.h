// The runs of this gateway on one engine instance, all on one GenerateMany stream: an engine says
// what a step yields in one message, so a token costs neither side a message of its own.
//
// The stream is opened by the first run, and again when it has ended. Thread-safe.
#ifndef VALLM_GATEWAY_ROUTING_ENGINE_STREAM_H_
#define VALLM_GATEWAY_ROUTING_ENGINE_STREAM_H_

#include <grpcpp/channel.h>

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/mutex.h"
#include "vallm/v1/engine.pb.h"

namespace vallm::gateway {

// How a run has ended.
struct EngineRunEnd {
  absl::Status status;    // OK after a chunk with a finish reason
  bool answered = false;  // the engine's own word, not gRPC's about a connection
  bool refused = false;   // it has never run there
};

// Who hears of a run. Calls come one at a time, from a gRPC thread, and must not block. The stream
// lets go of it after OnEnd or Cancel.
class EngineRunListener {
 public:
  virtual ~EngineRunListener() = default;
  virtual void OnAdmitted() = 0;
  virtual void OnChunk(const v1::GenerateChunk& chunk) = 0;
  virtual void OnEnd(const EngineRunEnd& end) = 0;
};

class EngineStream {
  class Call;
  class OpenCalls;

 public:
  // Names a run that was started.
  class Run {
   public:
    // Gives it up. A call to the listener may be under way; none begins afterwards. Idempotent.
    void Cancel();

   private:
    friend class EngineStream;
    std::weak_ptr<Call> call_;
    uint64_t id_ = 0;
  };

  explicit EngineStream(std::shared_ptr<grpc::ChannelInterface> channel);
  // Breaks off what is open, which ends the runs that are on it, and waits until gRPC is done with
  // it: what gRPC's own threads let go of last would take them along. Called by a listener, it does
  // not wait.
  ~EngineStream();
  EngineStream(const EngineStream&) = delete;
  EngineStream& operator=(const EngineStream&) = delete;

  // Errors: INVALID_ARGUMENT for a request that is larger than a message may be: it must not take
  // the others' stream along.
  absl::StatusOr<Run> Start(v1::GenerateStart start, std::shared_ptr<EngineRunListener> listener);

 private:
  const std::shared_ptr<grpc::ChannelInterface> channel_;
  const std::shared_ptr<OpenCalls> open_calls_;
  Mutex mu_;
  std::shared_ptr<Call> call_ ABSL_GUARDED_BY(mu_);  // null before the first run
  uint64_t last_id_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTING_ENGINE_STREAM_H_
