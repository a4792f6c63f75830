// Threads for the calls that take long. gRPC runs reactions in few threads: a text of megabytes
// encoded there would hold up the tokens of every open stream.
//
// Thread-safe. Ends what is queued before it is destroyed.
#ifndef VALLM_TOKENIZER_SERVICE_WORK_QUEUE_H_
#define VALLM_TOKENIZER_SERVICE_WORK_QUEUE_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "common/mutex.h"

namespace vallm::tokenizer {

class WorkQueue {
 public:
  // Called with the number of tasks that wait, whenever it changes.
  using Watcher = std::function<void(size_t waiting)>;

  WorkQueue(int threads, size_t max_waiting, Watcher watcher);
  ~WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // False if `max_waiting` tasks wait already: the task is not taken.
  bool Push(std::function<void()> task);

 private:
  void Work();

  const size_t max_waiting_;
  const Watcher watcher_;
  Mutex mu_;
  CondVar wake_;
  std::deque<std::function<void()>> tasks_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_WORK_QUEUE_H_
