#include "tokenizer_service/work_queue.h"

#include <atomic>
#include <condition_variable>
#include <mutex>

#include "gtest/gtest.h"

namespace vallm::tokenizer {
namespace {

// Something that threads wait for.
class Gate {
 public:
  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    opened_.notify_all();
  }
  void Pass() {
    std::unique_lock lock(mutex_);
    opened_.wait(lock, [this] { return open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable opened_;
  bool open_ = false;
};

TEST(WorkQueue, RunsWhatItTookAndRefusesMoreThanMayWait) {
  Gate started;
  Gate gate;
  std::atomic<int> done = 0;
  std::atomic<size_t> waiting = 99;
  {
    WorkQueue queue(/*threads=*/1, /*max_waiting=*/2, [&](size_t count) { waiting = count; });
    ASSERT_TRUE(queue.Push([&] {
      started.Open();
      gate.Pass();
      ++done;
    }));
    started.Pass();
    EXPECT_EQ(waiting, 0u);
    ASSERT_TRUE(queue.Push([&] { ++done; }));
    ASSERT_TRUE(queue.Push([&] { ++done; }));
    EXPECT_EQ(waiting, 2u);
    EXPECT_FALSE(queue.Push([&] { done = 100; }));
    gate.Open();
  }
  EXPECT_EQ(done, 3);
  EXPECT_EQ(waiting, 0u);
}

TEST(WorkQueue, WorksInAllItsThreads) {
  Gate first;
  Gate second;
  WorkQueue queue(/*threads=*/2, /*max_waiting=*/2, [](size_t) {});
  // Each waits for the other.
  ASSERT_TRUE(queue.Push([&] {
    first.Open();
    second.Pass();
  }));
  ASSERT_TRUE(queue.Push([&] {
    second.Open();
    first.Pass();
  }));
}

}  // namespace
}  // namespace vallm::tokenizer
