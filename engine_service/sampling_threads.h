// Threads that choose the tokens of a step, each with a sampler of its own.
//
// A row's result depends on the row alone, so it is the same bits on however many threads. One
// thread at a time calls ForEach; it takes part in the work.
#ifndef VALLM_ENGINE_SERVICE_SAMPLING_THREADS_H_
#define VALLM_ENGINE_SERVICE_SAMPLING_THREADS_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "engine_service/device/cpu/thread_pool.h"
#include "engine_service/sampling/sampler.h"

namespace vallm::engine {

class SamplingThreads {
 public:
  // REQUIRES: threads >= 1, the caller of ForEach included.
  explicit SamplingThreads(int32_t threads);

  int32_t count() const { return pool_->threads(); }

  // Calls body(i, sampler) for every i in [0, pieces) and returns when all are done. `logits`: how
  // many the pieces look at, all together; few are not worth waking a thread. Pieces must not
  // depend on one another and must write to memory of their own.
  template <typename Body>
  void ForEach(int64_t pieces, int64_t logits, const Body& body) {
    pool_->Run(pieces, logits >= kWorthThreads, [&](int64_t piece, int32_t thread) {
      body(piece, samplers_[static_cast<size_t>(thread)]);
    });
  }

 private:
  // About 0.1 ms of sampling; waking a thread takes some 10 µs.
  static constexpr int64_t kWorthThreads = 1 << 16;

  std::unique_ptr<ThreadPool> pool_;
  std::vector<Sampler> samplers_;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_SAMPLING_THREADS_H_
