#include "tests/bench/stream_read.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <thread>
#include <vector>

namespace vallm::bench {
namespace {

// 64 bytes; the compiler makes one load of it, or as many as the machine needs.
using Line = uint64_t __attribute__((vector_size(64)));

#if defined(__x86_64__)
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
uint64_t
ReadAll(const Line* data, size_t lines) {
  Line sums[4] = {};
  for (size_t i = 0; i + 4 <= lines; i += 4) {
    for (size_t j = 0; j < 4; ++j) sums[j] ^= data[i + j];
  }
  const Line sum = sums[0] ^ sums[1] ^ sums[2] ^ sums[3];
  uint64_t result = 0;
  for (int i = 0; i < 8; ++i) result ^= sum[i];
  return result;
}

}  // namespace

double StreamReadBandwidth(int threads, int64_t bytes, int rounds) {
  using Clock = std::chrono::steady_clock;
  const size_t lines = static_cast<size_t>(bytes) / sizeof(Line) / static_cast<size_t>(threads);
  std::atomic<int> waiting{0};
  std::atomic<int> round{-1};
  std::atomic<uint64_t> sink{0};
  std::vector<std::thread> readers;
  for (int t = 0; t < threads; ++t) {
    readers.emplace_back([&] {
      const std::vector<Line> data(lines, Line{1});  // its own memory, touched by itself
      for (int i = 0; i < rounds; ++i) {
        ++waiting;
        while (round.load() < i) std::this_thread::yield();
        sink ^= ReadAll(data.data(), lines);
      }
      ++waiting;
    });
  }
  double best = 1e9;
  for (int i = 0; i < rounds; ++i) {
    while (waiting.load() < threads * (i + 1)) std::this_thread::yield();
    const auto begin = Clock::now();
    round = i;
    while (waiting.load() < threads * (i + 2))
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    best = std::min(best, std::chrono::duration<double>(Clock::now() - begin).count());
  }
  for (std::thread& reader : readers) reader.join();
  return static_cast<double>(lines * sizeof(Line)) * threads / best;
}

}  // namespace vallm::bench
