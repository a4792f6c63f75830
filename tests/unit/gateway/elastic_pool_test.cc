#include "gateway/elastic_pool.h"

#include <atomic>
#include <functional>
#include <latch>

#include "gtest/gtest.h"

namespace vallm::gateway {
namespace {

TEST(ElasticPool, RunsAsManyTasksAtOnceAsItMay) {
  ElasticPool pool(3, [] { return false; });
  std::latch running(3);
  std::latch release(1);
  std::function<void()> task = [&] {
    running.count_down();
    release.wait();
  };
  for (int i = 0; i < 3; ++i) {
    std::function<void()> copy = task;
    EXPECT_TRUE(pool.TryRun(copy));
  }
  running.wait();
  EXPECT_FALSE(pool.TryRun(task));
  EXPECT_TRUE(task) << "a refused task is the caller's to run";
  release.count_down();
  pool.JoinAll();
}

TEST(ElasticPool, ATaskTakesTheThreadOfOneThatMadeRoom) {
  std::latch evicted(1);
  ElasticPool pool(1, [&] {
    evicted.count_down();
    return true;
  });
  std::latch started(1);
  std::function<void()> idle = [&] {
    started.count_down();
    evicted.wait();
  };
  ASSERT_TRUE(pool.TryRun(idle));
  started.wait();
  std::atomic<bool> ran = false;
  std::function<void()> next = [&] { ran = true; };
  EXPECT_TRUE(pool.TryRun(next));
  pool.JoinAll();
  EXPECT_TRUE(ran);
}

}  // namespace
}  // namespace vallm::gateway
