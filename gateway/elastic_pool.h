// Threads for connections: as many as are needed, not as many as might be.
#ifndef VALLM_GATEWAY_ELASTIC_POOL_H_
#define VALLM_GATEWAY_ELASTIC_POOL_H_

#include <deque>
#include <functional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "common/mutex.h"

namespace vallm::gateway {

// Threads made on demand, at most `limit`, gone after a while without work. When all are taken,
// `make_room` may end the task of one: true if it did, and that thread takes the new task.
// Thread-safe. JoinAll must be called before destruction.
class ElasticPool {
 public:
  ElasticPool(int limit, std::function<bool()> make_room)
      : limit_(limit), make_room_(std::move(make_room)) {}

  // False when no thread is free for `task` nor will be soon: it is left untouched then.
  bool TryRun(std::function<void()>& task);

  // Returns when all tasks, also those that wait, have ended.
  void JoinAll();

 private:
  // False when there are as many as there may be.
  bool StartThread() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Work();

  const int limit_;
  const std::function<bool()> make_room_;
  Mutex mu_;
  CondVar wake_;
  CondVar gone_;
  std::deque<std::function<void()>> tasks_ ABSL_GUARDED_BY(mu_);
  int idle_ ABSL_GUARDED_BY(mu_) = 0;
  int thread_count_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ELASTIC_POOL_H_
