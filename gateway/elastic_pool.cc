#include "gateway/elastic_pool.h"

#include <chrono>
#include <system_error>
#include <thread>
#include <utility>

namespace vallm::gateway {

bool ElasticPool::TryRun(std::function<void()>& task) {
  MutexLock lock(mu_);
  const bool one_is_idle = static_cast<int>(tasks_.size()) < idle_;
  if (!one_is_idle && !StartThread() && !make_room_()) return false;
  tasks_.push_back(std::move(task));
  wake_.NotifyOne();
  return true;
}

bool ElasticPool::StartThread() {
  if (thread_count_ >= limit_) return false;
  try {
    std::thread([this] { Work(); }).detach();
  } catch (const std::system_error&) {
    return false;  // the system has no more threads: as if the limit were lower
  }
  ++thread_count_;
  return true;
}

void ElasticPool::JoinAll() {
  MutexLock lock(mu_);
  stopping_ = true;
  wake_.NotifyAll();
  while (thread_count_ > 0) gone_.Wait(mu_);
}

void ElasticPool::Work() {
  mu_.Lock();
  for (;;) {
    if (tasks_.empty()) {
      if (stopping_) break;
      ++idle_;
      const bool signalled = wake_.WaitFor(mu_, std::chrono::seconds(10));
      --idle_;
      if (!signalled && tasks_.empty()) break;
      continue;
    }
    std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    mu_.Unlock();
    task();
    mu_.Lock();
  }
  --thread_count_;
  gone_.NotifyAll();
  mu_.Unlock();
}

}  // namespace vallm::gateway
