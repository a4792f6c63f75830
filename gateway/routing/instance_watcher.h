// Follows one engine instance: asks what it serves, listens to its load, and asks every second for
// its health, because a process that is stopped keeps its connections and simply says nothing.
//
// One thread; it connects again, and again, until destroyed.
#ifndef VALLM_GATEWAY_ROUTING_INSTANCE_WATCHER_H_
#define VALLM_GATEWAY_ROUTING_INSTANCE_WATCHER_H_

#include <grpcpp/channel.h>
#include <grpcpp/generic/generic_stub.h>

#include <memory>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "vallm/v1/engine.grpc.pb.h"

namespace vallm::gateway {

struct InstanceWatcherOptions {
  absl::Duration probe_interval = absl::Seconds(1);
  // An instance that leaves a probe unanswered for so long is lost.
  absl::Duration probe_timeout = absl::Seconds(5);
};

class InstanceWatcher {
 public:
  // Told from the watcher's and gRPC's threads, one call at a time; must not block for long.
  class Listener {
   public:
    virtual ~Listener() = default;
    // The instance was reached (again). OnLoad follows.
    virtual void OnInfo(const v1::ModelInfo& info) = 0;
    virtual void OnLoad(const v1::Load& load) = 0;
    // It is not connected any more, or was not to begin with; `silent`: because it answers nothing.
    virtual void OnLost(bool silent) = 0;
  };

  // `listener` must outlive it.
  InstanceWatcher(const std::shared_ptr<grpc::Channel>& channel,
                  const InstanceWatcherOptions& options, Listener& listener);
  // Waits for the call of the listener that is under way.
  ~InstanceWatcher();
  InstanceWatcher(const InstanceWatcher&) = delete;
  InstanceWatcher& operator=(const InstanceWatcher&) = delete;

  // Something is wrong with the instance: connects anew, to hear its state. Does not block.
  void Reconnect();

 private:
  class LoadCall;

  void Run();
  // One connection, from OnInfo until it is lost. Returns whether it is because of silence.
  bool Follow();
  absl::Status GetInfo();
  // Errors: DEADLINE_EXCEEDED when the instance does not answer.
  absl::Status Probe();
  // Makes `context` the one that is cancelled when the connection ends, however it does; false if
  // it has ended already.
  bool Begin(grpc::ClientContext* context);
  void OnLoad(const v1::Load& load);
  void OnLoadDone();

  const InstanceWatcherOptions options_;
  Listener& listener_;
  const std::unique_ptr<v1::Engine::Stub> stub_;
  grpc::GenericStub generic_stub_;

  Mutex mu_;
  CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool reconnect_ ABSL_GUARDED_BY(mu_) = false;
  bool load_ended_ ABSL_GUARDED_BY(mu_) = false;
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mu_) = nullptr;  // of the unary call under way
  std::thread thread_;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTING_INSTANCE_WATCHER_H_
