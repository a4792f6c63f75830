#include "engine_service/device/cpu/thread_pool.h"

#include <atomic>
#include <vector>

#include "engine_service/device/cpu/cpu_device.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using ::vallm::testing::StatusIs;

TEST(ThreadPoolTest, RunsEveryTaskOnce) {
  for (const int32_t threads : {1, 2, 5}) {
    auto pool = ThreadPool::Create(threads, {});
    ASSERT_OK(pool);
    EXPECT_EQ((*pool)->threads(), threads);
    for (const int64_t tasks : {0, 1, 2, 7, 1000}) {
      for (const bool parallel : {false, true}) {
        std::vector<std::atomic<int>> runs(tasks);
        (*pool)->Run(tasks, parallel, [&](int64_t task, int32_t thread) {
          EXPECT_GE(thread, 0);
          EXPECT_LT(thread, threads);
          ++runs[task];
        });
        for (const auto& count : runs) EXPECT_EQ(count.load(), 1);
      }
    }
  }
}

TEST(ThreadPoolTest, ManyShortLoopsSeeTheOnesBefore) {
  auto pool = ThreadPool::Create(3, {});
  ASSERT_OK(pool);
  std::vector<int64_t> values(8, 0);  // not atomic: loops must be ordered
  for (int i = 0; i < 5000; ++i) {
    (*pool)->Run(8, true, [&](int64_t task, int32_t) { values[task] += task; });
  }
  for (int64_t task = 0; task < 8; ++task) EXPECT_EQ(values[task], task * 5000);
}

TEST(ThreadPoolTest, SerialLoopsStayOnTheCallingThread) {
  auto pool = ThreadPool::Create(3, {});
  ASSERT_OK(pool);
  const auto caller = std::this_thread::get_id();
  (*pool)->Run(100, /*parallel=*/false, [&](int64_t, int32_t thread) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    EXPECT_EQ(thread, 0);
  });
}

TEST(ThreadPoolTest, PinsAndRefusesBadOptions) {
  const auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_OK(ThreadPool::Create(2, {0}));
  EXPECT_THAT(ThreadPool::Create(0, {}), StatusIs(kInvalid, "thread count is 0"));
  EXPECT_THAT(ThreadPool::Create(3, {0}), StatusIs(kInvalid, "3 threads need 2"));
  EXPECT_THAT(ThreadPool::Create(2, {100000}), StatusIs(kInvalid, "cpu 100000"));
  EXPECT_THAT(ThreadPool::Create(2, {-1}), StatusIs(kInvalid, "cpu -1"));
}

TEST(CpuDeviceTest, RefusesWhatTheMachineLacks) {
  CpuDeviceOptions options;
  options.threads = -1;
  EXPECT_THAT(CreateCpuDevice(options), StatusIs(absl::StatusCode::kInvalidArgument, "-1"));
  options.threads = 1;
  options.isa = static_cast<Isa>(99);
  EXPECT_THAT(CreateCpuDevice(options), StatusIs(absl::StatusCode::kUnimplemented, "no"));
}

TEST(CpuDeviceTest, RefusesMoreMemoryThanThereIs) {
  auto device = CreateCpuDevice({});
  ASSERT_OK(device);
  EXPECT_THAT((*device)->Allocate(int64_t{1} << 60),
              StatusIs(absl::StatusCode::kResourceExhausted, "bytes"));
  EXPECT_THAT((*device)->Allocate(-1), StatusIs(absl::StatusCode::kResourceExhausted, "-1"));
  EXPECT_OK((*device)->Allocate(0));
}

}  // namespace
}  // namespace vallm::engine
