#include "engine_service/executor/shared_counter.h"

#include <limits>
#include <memory>
#include <thread>

#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace vallm::engine {
namespace {

class SharedCounterTest : public ::testing::Test {
 protected:
  SharedCounter counter_{};
  AbortFlag aborted_{0};
  Spinner spinner_;
};

TEST_F(SharedCounterTest, WhatIsReachedIsNotWaitedFor) {
  counter_.Set(3);
  EXPECT_EQ(counter_.WaitFor(3, aborted_, spinner_, absl::InfinitePast()), WaitResult::kReached);
  EXPECT_EQ(counter_.WaitFor(2, aborted_, spinner_, absl::InfinitePast()), WaitResult::kReached);
  EXPECT_EQ(counter_.WaitFor(4, aborted_, spinner_, absl::InfinitePast()), WaitResult::kTimedOut);
}

TEST_F(SharedCounterTest, ComparesAcrossTheWrap) {
  counter_.Set(std::numeric_limits<uint32_t>::max());
  EXPECT_EQ(counter_.WaitFor(0, aborted_, spinner_, absl::InfinitePast()), WaitResult::kTimedOut);
  counter_.Set(1);
  EXPECT_EQ(counter_.WaitFor(std::numeric_limits<uint32_t>::max(), aborted_, spinner_),
            WaitResult::kReached);
}

TEST_F(SharedCounterTest, TimesOutNotBeforeTheDeadline) {
  const absl::Time deadline = absl::Now() + absl::Milliseconds(20);
  EXPECT_EQ(counter_.WaitFor(1, aborted_, spinner_, deadline), WaitResult::kTimedOut);
  EXPECT_GE(absl::Now(), deadline);
}

TEST_F(SharedCounterTest, AnAbortEndsASleepAndWinsOverTheValue) {
  std::thread aborter([&] {
    aborted_.store(1);
    counter_.WakeAll();
  });
  EXPECT_EQ(counter_.WaitFor(1, aborted_, spinner_), WaitResult::kAborted);
  aborter.join();
  counter_.Set(1);
  EXPECT_EQ(counter_.WaitFor(1, aborted_, spinner_), WaitResult::kAborted);
}

// Two threads hand a plain variable back and forth: every hand-over must be seen, and (under
// ThreadSanitizer) ordered. A lost wake-up hangs the test.
TEST_F(SharedCounterTest, HandsOverWithoutLosingAWakeUp) {
  spinner_ = Spinner(std::chrono::nanoseconds(0));  // sleeps every time
  constexpr uint32_t kRounds = 20000;
  SharedCounter back{};
  uint32_t value = 0;
  std::thread other([&] {
    Spinner spinner;
    for (uint32_t round = 1; round <= kRounds; ++round) {
      if (counter_.WaitFor(round, aborted_, spinner) != WaitResult::kReached) return;
      ++value;
      back.Set(round);
    }
  });
  for (uint32_t round = 1; round <= kRounds; ++round) {
    ++value;
    counter_.Set(round);
    ASSERT_EQ(back.WaitFor(round, aborted_, spinner_), WaitResult::kReached);
    ASSERT_EQ(value, 2 * round);
  }
  other.join();
}

}  // namespace
}  // namespace vallm::engine
