#include "tests/bench/stream_read.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
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
  // By name: in an array they would live in memory, and cost more than what is read.
  Line a{}, b{}, c{}, d{};
  for (size_t i = 0; i + 4 <= lines; i += 4) {
    a ^= data[i];
    b ^= data[i + 1];
    c ^= data[i + 2];
    d ^= data[i + 3];
  }
  const Line sum = a ^ b ^ c ^ d;
  uint64_t result = 0;
  for (int i = 0; i < 8; ++i) result ^= sum[i];
  return result;
}

// Memory in huge pages where the system has them, as a device's weights are.
class Memory {
 public:
  explicit Memory(size_t lines)
      : bytes_((lines * sizeof(Line) + kHugePage - 1) / kHugePage * kHugePage),
        data_(std::aligned_alloc(kHugePage, bytes_)) {
    madvise(data_, bytes_, MADV_HUGEPAGE);
    std::memset(data_, 1, bytes_);
  }
  ~Memory() { std::free(data_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  const Line* lines() const { return static_cast<const Line*>(data_); }

 private:
  static constexpr size_t kHugePage = 2 << 20;
  const size_t bytes_;
  void* const data_;
};

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
      const Memory memory(lines);  // its own, touched by itself
      for (int i = 0; i < rounds; ++i) {
        ++waiting;
        while (round.load() < i) std::this_thread::yield();
        sink ^= ReadAll(memory.lines(), lines);
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
