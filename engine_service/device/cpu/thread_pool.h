// A fixed set of threads for short parallel loops: the next loop usually follows within
// microseconds, so waiting threads spin briefly before they sleep.
//
// One thread at a time calls Run; it takes part in the loop. Which thread runs which task is not
// fixed, so tasks must write to disjoint memory and must not depend on one another.
#ifndef VALLM_ENGINE_SERVICE_DEVICE_CPU_THREAD_POOL_H_
#define VALLM_ENGINE_SERVICE_DEVICE_CPU_THREAD_POOL_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"

namespace vallm::engine {

class ThreadPool {
 public:
  // `threads` counts the caller of Run. `pin_to` has a CPU for each of the pool's own threads, or
  // is empty. Errors: INVALID_ARGUMENT (sizes; a CPU that cannot be pinned to).
  static absl::StatusOr<std::unique_ptr<ThreadPool>> Create(int32_t threads,
                                                            const std::vector<int32_t>& pin_to);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int32_t threads() const { return static_cast<int32_t>(workers_.size()) + 1; }

  // Calls body(task, thread) for every task in [0, tasks), thread in [0, threads()), and returns
  // when all are done. With `parallel` false everything runs on the calling thread: for loops that
  // are shorter than waking a thread.
  template <typename Body>
  void Run(int64_t tasks, bool parallel, const Body& body) {
    if (!parallel || tasks < 2 || workers_.empty()) {
      for (int64_t task = 0; task < tasks; ++task) body(task, 0);
      return;
    }
    RunParallel(tasks, &body, [](const void* context, int64_t task, int32_t thread) {
      (*static_cast<const Body*>(context))(task, thread);
    });
  }

 private:
  using Function = void (*)(const void* context, int64_t task, int32_t thread);
  ThreadPool() = default;
  void RunParallel(int64_t tasks, const void* context, Function function);
  void RunTasks(int32_t thread);
  void WorkerLoop(int32_t thread);

  std::chrono::microseconds spin_{};  // before a waiting thread sleeps

  // The loop in progress; written before generation_ announces it and read by workers after.
  int64_t tasks_ = 0;
  const void* context_ = nullptr;
  Function function_ = nullptr;

  alignas(64) std::atomic<uint32_t> generation_{0};
  alignas(64) std::atomic<int64_t> next_task_{0};
  alignas(64) std::atomic<int32_t> busy_workers_{0};
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> workers_;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_DEVICE_CPU_THREAD_POOL_H_
