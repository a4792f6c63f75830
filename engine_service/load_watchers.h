// The WatchLoad streams of an engine, and everything else that follows its load: a thread that
// wakes when the load changed and sends each watcher the latest, no more often than it asked for.
#ifndef VALLM_ENGINE_SERVICE_LOAD_WATCHERS_H_
#define VALLM_ENGINE_SERVICE_LOAD_WATCHERS_H_

#include <grpcpp/support/server_callback.h>

#include <functional>
#include <optional>
#include <set>
#include <thread>

#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/stream_writer.h"
#include "engine_service/engine.h"
#include "vallm/v1/engine.pb.h"

namespace vallm::engine {

class LoadWatchers {
 public:
  // `on_load` is called from the thread with every state seen, the first included. `engine` must
  // outlive the watchers, which take its load listener.
  LoadWatchers(Engine& engine, std::function<void(const EngineLoad&)> on_load);
  // As Stop. Waits until gRPC is done with every stream.
  ~LoadWatchers();

  // Starts a stream; the reactor deletes itself.
  grpc::ServerWriteReactor<v1::Load>* Watch(const v1::WatchLoadRequest& request);

  // Ends all streams with UNAVAILABLE, and those that come. Idempotent.
  void Stop();

 private:
  class Watcher;

  void Run();
  // Sends to who is due; gives the time until the next one is.
  absl::Duration SendLocked(const EngineLoad& load, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  Engine& engine_;
  const std::function<void(const EngineLoad&)> on_load_;

  Mutex mu_;
  CondVar wake_;
  bool dirty_ ABSL_GUARDED_BY(mu_) = true;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::set<Watcher*> watchers_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_LOAD_WATCHERS_H_
