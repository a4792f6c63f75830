// What everything that reads weights once is compared with: how fast threads read a stretch of
// memory that is larger than their own caches. Hosts with hundreds of MB of last-level cache hold a
// part of it there, as they do of weights; reading that prefetches by hand can be some 10 % faster.
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
