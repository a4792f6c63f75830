// Runs independent pieces of one job on several threads.
#ifndef VALLM_COMMON_PARALLEL_H_
#define VALLM_COMMON_PARALLEL_H_

#include <cstddef>
#include <functional>

namespace vallm {

// Calls `body(i)` for every i in [0, count), each once, on the calling thread and up to
// `threads` - 1 others, and returns when all are done. Threads take the next i when they are free,
// so pieces may differ in size. The threads live for this call only: about 30 µs each, for jobs of
// milliseconds. `body` must be safe to call from several threads.
void ParallelFor(size_t count, int threads, const std::function<void(size_t i)>& body);

}  // namespace vallm

#endif  // VALLM_COMMON_PARALLEL_H_
