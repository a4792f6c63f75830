// The ceiling of everything that reads weights once: how fast threads read memory that is in no
// cache.
#ifndef VALLM_TESTS_BENCH_STREAM_READ_H_
#define VALLM_TESTS_BENCH_STREAM_READ_H_

#include <cstdint>

namespace vallm::bench {

// Bytes per second of `threads` threads, each reading its own stretch of memory from end to end,
// one after the other, with the widest loads there are; the best of `rounds`. Takes `bytes` of
// memory.
double StreamReadBandwidth(int threads, int64_t bytes = int64_t{1} << 30, int rounds = 8);

}  // namespace vallm::bench

#endif  // VALLM_TESTS_BENCH_STREAM_READ_H_
