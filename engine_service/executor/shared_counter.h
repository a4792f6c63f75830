// A counter in shared memory that processes wait for: one futex, a brief spin before it.
//
// Lives in zeroed MAP_SHARED memory; needs no construction beyond that and no destruction. One
// writer, any number of waiters, in any process that maps the memory.
#ifndef VALLM_ENGINE_SERVICE_EXECUTOR_SHARED_COUNTER_H_
#define VALLM_ENGINE_SERVICE_EXECUTOR_SHARED_COUNTER_H_

#include <atomic>
#include <cstdint>

#include "absl/time/time.h"
#include "engine_service/executor/spin.h"

namespace vallm::engine {

// Set once by whoever gives the group up; every wait of the group ends then.
using AbortFlag = std::atomic<uint32_t>;

enum class WaitResult { kReached, kAborted, kTimedOut };

class alignas(64) SharedCounter {
 public:
  uint32_t value() const { return value_.load(std::memory_order_acquire); }

  // Makes `value` and everything written before visible to those who wait for it.
  void Set(uint32_t value);

  // Wakes every waiter so that it looks at its abort flag. Anyone may call.
  void WakeAll();

  // Waits until the value has reached `target`. Comparison is modulo 2^32: the two must be less
  // than 2^31 apart. An aborted wait says so even when the target was reached as well.
  // Spins as long as `spinner` says, then sleeps.
  WaitResult WaitFor(uint32_t target, const AbortFlag& aborted, Spinner& spinner,
                     absl::Time deadline = absl::InfiniteFuture());

 private:
  bool Reached(uint32_t target) const { return static_cast<int32_t>(value() - target) >= 0; }
  bool SpinFor(uint32_t target, const AbortFlag& aborted, SpinTime time) const;
  WaitResult SleepFor(uint32_t target, const AbortFlag& aborted, absl::Time deadline);

  std::atomic<uint32_t> value_;
  // What the futex sleeps on: rung by Set for those who sleep and by WakeAll, so that an abort that
  // comes between the look at the flag and the sleep is not slept through.
  std::atomic<uint32_t> bell_;
  std::atomic<uint32_t> waiters_;

  static_assert(std::atomic<uint32_t>::is_always_lock_free);
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_EXECUTOR_SHARED_COUNTER_H_
