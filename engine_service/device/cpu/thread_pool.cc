#include "engine_service/device/cpu/thread_pool.h"

#include <pthread.h>
#include <sched.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "absl/strings/str_cat.h"

namespace vallm::engine {
namespace {

// Longer than what one thread waits for another within a forward pass, where a futex wake-up would
// cost half of that.
constexpr std::chrono::microseconds kSpin{100};
// Where threads take cores from one another: no longer than a hand-over between running ones.
constexpr std::chrono::microseconds kLeastSpin{5};

void Pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Returns once `value` differs from `old`.
template <typename T>
void WaitWhileEqual(const std::atomic<T>& value, T old, std::chrono::microseconds spin) {
  const auto changed = [&] { return value.load(std::memory_order_acquire) != old; };
  if (changed()) return;
  const auto end = std::chrono::steady_clock::now() + spin;
  do {
    for (int i = 0; i < 16; ++i) {
      Pause();
      if (changed()) return;
    }
  } while (std::chrono::steady_clock::now() < end);
  while (!changed()) value.wait(old, std::memory_order_acquire);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ThreadPool>> ThreadPool::Create(int32_t threads,
                                                               const std::vector<int32_t>& pin_to) {
  if (threads < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("thread count is ", threads, "; want 1 or more"));
  }
  if (!pin_to.empty() && static_cast<int32_t>(pin_to.size()) != threads - 1) {
    return absl::InvalidArgumentError(absl::StrCat("got ", pin_to.size(), " cpus to pin to; ",
                                                   threads, " threads need ", threads - 1));
  }
  std::unique_ptr<ThreadPool> pool(new ThreadPool());
  const auto cores = static_cast<int32_t>(std::thread::hardware_concurrency());
  pool->spin_ = threads <= cores ? kSpin : kLeastSpin;
  for (int32_t i = 1; i < threads; ++i) {
    pool->workers_.emplace_back([raw = pool.get(), i] { raw->WorkerLoop(i); });
    if (pin_to.empty()) continue;
    const int32_t cpu = pin_to[i - 1];
    cpu_set_t set;
    CPU_ZERO(&set);
    if (cpu >= 0 && cpu < CPU_SETSIZE) CPU_SET(cpu, &set);
    const int error =
        pthread_setaffinity_np(pool->workers_.back().native_handle(), sizeof(set), &set);
    if (error != 0) {
      return absl::InvalidArgumentError(absl::StrCat("cannot pin a thread to cpu ", cpu));
    }
  }
  return pool;
}

ThreadPool::~ThreadPool() {
  stopping_.store(true, std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::RunParallel(int64_t tasks, const void* context, Function function) {
  tasks_ = tasks;
  context_ = context;
  function_ = function;
  next_task_.store(0, std::memory_order_relaxed);
  busy_workers_.store(static_cast<int32_t>(workers_.size()), std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  RunTasks(/*thread=*/0);
  // Also waits for workers that found nothing left to do: the fields above are theirs until then.
  for (int32_t busy = busy_workers_.load(std::memory_order_acquire); busy != 0;
       busy = busy_workers_.load(std::memory_order_acquire)) {
    WaitWhileEqual(busy_workers_, busy, spin_);
  }
}

void ThreadPool::RunTasks(int32_t thread) {
  for (;;) {
    const int64_t task = next_task_.fetch_add(1, std::memory_order_relaxed);
    if (task >= tasks_) return;
    function_(context_, task, thread);
  }
}

void ThreadPool::WorkerLoop(int32_t thread) {
  uint32_t seen = 0;
  for (;;) {
    WaitWhileEqual(generation_, seen, spin_);
    seen = generation_.load(std::memory_order_acquire);
    if (stopping_.load(std::memory_order_relaxed)) return;
    RunTasks(thread);
    if (busy_workers_.fetch_sub(1, std::memory_order_release) == 1) busy_workers_.notify_one();
  }
}

}  // namespace vallm::engine
