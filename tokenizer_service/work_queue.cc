#include "tokenizer_service/work_queue.h"

#include <utility>

namespace vallm::tokenizer {

WorkQueue::WorkQueue(int threads, size_t max_waiting, Watcher watcher)
    : max_waiting_(max_waiting), watcher_(std::move(watcher)) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
}

WorkQueue::~WorkQueue() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
  }
  wake_.NotifyAll();
  for (std::thread& thread : threads_) thread.join();
}

bool WorkQueue::Push(std::function<void()> task) {
  {
    MutexLock lock(mu_);
    if (tasks_.size() >= max_waiting_) return false;
    tasks_.push_back(std::move(task));
    watcher_(tasks_.size());
  }
  wake_.NotifyOne();
  return true;
}

void WorkQueue::Work() {
  while (true) {
    std::function<void()> task;
    {
      MutexLock lock(mu_);
      while (tasks_.empty() && !stopping_) wake_.Wait(mu_);
      if (tasks_.empty()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
      watcher_(tasks_.size());
    }
    task();
  }
}

}  // namespace vallm::tokenizer
