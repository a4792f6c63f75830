#include "engine_service/executor/shared_counter.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <ctime>

#include "absl/time/clock.h"

namespace vallm::engine {
namespace {

// Looks at the value between two looks at the clock.
constexpr int kSpinsPerLook = 16;

// Not FUTEX_PRIVATE: the waiters are other processes.
void FutexWait(std::atomic<uint32_t>& word, uint32_t expected, absl::Time deadline) {
  timespec timeout{};
  const timespec* limit = nullptr;
  if (deadline != absl::InfiniteFuture()) {
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) return;
    timeout = absl::ToTimespec(left);
    limit = &timeout;
  }
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT, expected, limit, nullptr, 0);
}

void FutexWakeAll(std::atomic<uint32_t>& word) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace

void SharedCounter::Set(uint32_t value) {
  value_.store(value);
  // Sequentially consistent on both sides: either this load sees the waiter or the waiter's look at
  // the value sees the store.
  if (waiters_.load() != 0) WakeAll();
}

void SharedCounter::WakeAll() {
  bell_.fetch_add(1);
  FutexWakeAll(bell_);
}

WaitResult SharedCounter::WaitFor(uint32_t target, const AbortFlag& aborted, Spinner& spinner,
                                  absl::Time deadline) {
  if (aborted.load(std::memory_order_acquire) != 0) return WaitResult::kAborted;
  if (Reached(target)) return WaitResult::kReached;
  const auto begin = std::chrono::steady_clock::now();
  if (SpinFor(target, aborted, spinner.time())) return WaitResult::kReached;
  const WaitResult result = SleepFor(target, aborted, deadline);
  spinner.Slept(std::chrono::steady_clock::now() - begin);
  return result;
}

// True when the target was reached; an abort ends it as well.
bool SharedCounter::SpinFor(uint32_t target, const AbortFlag& aborted, SpinTime time) const {
  const auto end = std::chrono::steady_clock::now() + time;
  do {
    for (int spin = 0; spin < kSpinsPerLook; ++spin) {
      if (aborted.load(std::memory_order_acquire) != 0) return false;
      if (Reached(target)) return true;
      SpinPause();
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

WaitResult SharedCounter::SleepFor(uint32_t target, const AbortFlag& aborted, absl::Time deadline) {
  waiters_.fetch_add(1);
  WaitResult result = WaitResult::kTimedOut;
  while (true) {
    const uint32_t bell = bell_.load();
    if (aborted.load() != 0) {
      result = WaitResult::kAborted;
      break;
    }
    if (static_cast<int32_t>(value_.load() - target) >= 0) {
      result = WaitResult::kReached;
      break;
    }
    if (deadline != absl::InfiniteFuture() && absl::Now() >= deadline) break;
    FutexWait(bell_, bell, deadline);
  }
  waiters_.fetch_sub(1);
  return result;
}

}  // namespace vallm::engine
