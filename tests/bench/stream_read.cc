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
  struct Span {
    Clock::time_point begin, end;
  };
  const size_t lines = static_cast<size_t>(bytes) / sizeof(Line) / static_cast<size_t>(threads);
  std::vector<std::vector<Span>> spans(threads, std::vector<Span>(rounds));
  std::atomic<int> arrived{0};
  std::atomic<uint64_t> sink{0};
  std::vector<std::thread> readers;
  for (int t = 0; t < threads; ++t) {
    readers.emplace_back([&, t] {
      const Memory memory(lines);  // its own, touched by itself
      for (int i = 0; i < rounds; ++i) {
        ++arrived;
        while (arrived.load() < threads * (i + 1)) std::this_thread::yield();
        spans[t][i].begin = Clock::now();
        sink ^= ReadAll(memory.lines(), lines);
        spans[t][i].end = Clock::now();
      }
    });
  }
  // Nobody else runs meanwhile: a thread that watches costs one of the readers a fifth of its time.
  for (std::thread& reader : readers) reader.join();
  double best = 1e9;
  for (int i = 0; i < rounds; ++i) {
    Span all = spans[0][i];
    for (const std::vector<Span>& of_reader : spans) {
      all.begin = std::min(all.begin, of_reader[i].begin);
      all.end = std::max(all.end, of_reader[i].end);
    }
    best = std::min(best, std::chrono::duration<double>(all.end - all.begin).count());
  }
  return static_cast<double>(lines * sizeof(Line)) * threads / best;
}

}  // namespace vallm::bench
