// Speed of the all-reduce between worker processes, over real shared memory. Not a test.
//
//   collective_bench [ranks]
//
// One process per rank (2 unless told otherwise), each on a core of its own as far as there are
// that many. Prints per size the median, the 90th and 99th percentile of the time of one call on
// rank 0, and what it makes in GB/s of the rank's data. The first two sizes are what a decode of
// Qwen3-30B-A3B hands in per half layer, with one request and with four; the others are prompts.
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "common/usable_cores.h"
#include "engine_service/executor/shm_collective.h"

namespace vallm::engine {
namespace {

struct Size {
  const char* name;
  size_t floats;
  int calls;
};

constexpr Size kSizes[] = {
    {"1 x 2048", 2048, 20000},
    {"4 x 2048", size_t{4} * 2048, 10000},
    {"32 x 2048", size_t{32} * 2048, 2000},
    {"512 x 2048", size_t{512} * 2048, 200},
    {"512 x 4096", size_t{512} * 4096, 200},
};

void PinToNthCore(int32_t n) {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return;
  n %= std::max(1, CPU_COUNT(&allowed));
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed) || n-- > 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof(one), &one);
    return;
  }
}

void Check(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::exit(1);
}

void RunRank(GroupMemory& memory, int32_t rank) {
  using Clock = std::chrono::steady_clock;
  PinToNthCore(rank);
  ShmCollective collective(memory, rank);
  for (const Size& size : kSizes) {
    std::vector<float> data(size.floats, 1.0f);
    std::vector<double> microseconds;
    rusage before{};
    rusage after{};
    for (int i = -size.calls / 10; i < size.calls; ++i) {
      if (i == 0) getrusage(RUSAGE_SELF, &before);
      const auto begin = Clock::now();
      Check(collective.AllReduceSum(data));
      const std::chrono::duration<double, std::micro> time = Clock::now() - begin;
      if (i >= 0) microseconds.push_back(time.count());
      if (i % 64 == 0) std::fill(data.begin(), data.end(), 1.0f);  // or they overflow
    }
    getrusage(RUSAGE_SELF, &after);
    if (rank != 0) continue;
    std::sort(microseconds.begin(), microseconds.end());
    const auto at = [&](double share) {
      return microseconds[static_cast<size_t>(share *
                                              static_cast<double>(microseconds.size() - 1))];
    };
    std::printf("%-12s p50 %9.2f us  p90 %9.2f us  p99 %9.2f us  %6.2f GB/s  slept %ld times\n",
                size.name, at(.5), at(.9), at(.99),
                static_cast<double>(size.floats * sizeof(float)) / at(.5) * 1e-3,
                after.ru_nvcsw - before.ru_nvcsw);
  }
}

int Main(int argc, char** argv) {
  const int32_t ranks = argc > 1 ? std::atoi(argv[1]) : 2;
  auto memory = GroupMemory::Create({.ranks = ranks,
                                     .max_tokens = 1,
                                     .max_chunks = 1,
                                     .max_block_ids = 1,
                                     .max_logit_rows = 1,
                                     .vocab_size = 1},
                                    ChooseSpinLimits(UsableCores(), ranks, /*threads=*/1));
  Check(memory.status());
  std::printf("all-reduce between %d processes on %d cores\n", ranks, UsableCores());
  std::fflush(stdout);
  std::vector<pid_t> children;
  for (int32_t rank = 1; rank < ranks; ++rank) {
    const pid_t child = fork();
    if (child == 0) {
      auto attached = GroupMemory::Attach(dup((*memory)->fd()));
      Check(attached.status());
      RunRank(**attached, rank);
      std::exit(0);
    }
    children.push_back(child);
  }
  RunRank(**memory, 0);
  for (const pid_t child : children) waitpid(child, nullptr, 0);
  return 0;
}

}  // namespace
}  // namespace vallm::engine

int main(int argc, char** argv) { return vallm::engine::Main(argc, argv); }
