// How long a wait for another process spins before it sleeps.
//
// A sleep costs two system calls and some 50 µs until the sleeper runs again; a spin costs nothing
// but the core, which is somebody else's loss when there are fewer cores than threads. So there is
// a limit, which depends on the cores, and below it every waiter goes by what its last waits took.
#ifndef VALLM_ENGINE_SERVICE_EXECUTOR_SPIN_H_
#define VALLM_ENGINE_SERVICE_EXECUTOR_SPIN_H_

#include <chrono>
#include <cstdint>

namespace vallm::engine {

using SpinTime = std::chrono::nanoseconds;

// Spun in any case: longer than a hand-over between two running threads.
inline constexpr SpinTime kLeastSpin = std::chrono::microseconds(3);
// Where nobody knows how many cores there are.
inline constexpr SpinTime kCautiousSpin = std::chrono::microseconds(10);

// The limits of a group, for the two kinds of waits it has.
struct SpinLimits {
  SpinTime between_ranks = kCautiousSpin;  // a rank for its peers, in a collective
  SpinTime for_steps = kCautiousSpin;      // a rank for its next step, the engine for the ranks
};

// For `ranks` processes of `threads` busy threads each, and the engine's own thread, on
// `usable_cores`. Where they do not all find a core, those that wait leave theirs to those that
// run.
SpinLimits ChooseSpinLimits(int32_t usable_cores, int32_t ranks, int32_t threads);

// One waiter's memory. Spins up to the limit while that has been worth it, and hardly at all after
// waits that were longer than the limit. Not thread-safe; not shared between processes.
class Spinner {
 public:
  explicit Spinner(SpinTime limit = kCautiousSpin) : limit_(limit), time_(limit) {}

  // How long to spin now.
  SpinTime time() const { return time_; }
  // A wait slept, and took `waited` in all.
  void Slept(SpinTime waited);

 private:
  SpinTime limit_;
  SpinTime time_;
};

// Tells the core that this is a spin.
inline void SpinPause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_EXECUTOR_SPIN_H_
