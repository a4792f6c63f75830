#include "common/parallel.h"

#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "common/mutex.h"
#include "gtest/gtest.h"

namespace vallm {
namespace {

TEST(ParallelFor, CallsEachOnce) {
  for (const size_t count : {0, 1, 2, 1000}) {
    for (const int threads : {0, 1, 3, 8}) {
      std::vector<std::atomic<int>> calls(count);
      ParallelFor(count, threads, [&](size_t i) { ++calls[i]; });
      for (size_t i = 0; i < count; ++i) EXPECT_EQ(calls[i], 1) << i << " of " << count;
    }
  }
}

TEST(ParallelFor, UsesTheThreadsItIsGiven) {
  Mutex mu;
  std::set<std::thread::id> ids;
  std::atomic<int> arrived{0};
  ParallelFor(3, 3, [&](size_t) {
    {
      MutexLock lock(mu);
      ids.insert(std::this_thread::get_id());
    }
    // Each piece waits for the others: they can only all arrive on threads of their own.
    ++arrived;
    while (arrived < 3) std::this_thread::yield();
  });
  EXPECT_EQ(ids.size(), 3u);
  EXPECT_TRUE(ids.contains(std::this_thread::get_id()));
}

}  // namespace
}  // namespace vallm
