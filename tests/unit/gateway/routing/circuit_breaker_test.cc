#include "gateway/routing/circuit_breaker.h"

#include "gtest/gtest.h"

namespace vallm::gateway {
namespace {

using State = CircuitBreaker::State;

class CircuitBreakerTest : public ::testing::Test {
 protected:
  // A request that is begun now and lost a moment later.
  void Lose() {
    const absl::Time begun = now_;
    now_ += absl::Milliseconds(1);
    breaker_.OnFailure(begun, now_, /*jitter=*/0.5);
    now_ += absl::Milliseconds(1);
  }
  void Serve() {
    breaker_.OnSuccess(now_);
    now_ += absl::Milliseconds(1);
  }
  State state() const { return breaker_.state(now_); }
  // How long it stays open from now on.
  absl::Duration Wait() {
    const absl::Duration wait = breaker_.half_open_time(now_) - now_;
    now_ += wait;
    return absl::Ceil(wait, absl::Milliseconds(10));
  }

  CircuitBreaker breaker_{
      {.failures = 3, .first_backoff = absl::Seconds(1), .longest_backoff = absl::Seconds(5)}};
  absl::Time now_ = absl::UnixEpoch();
};

TEST_F(CircuitBreakerTest, OpensAfterFailuresInARow) {
  Lose();
  Lose();
  EXPECT_EQ(state(), State::kClosed);
  EXPECT_EQ(breaker_.half_open_time(now_), absl::InfiniteFuture());
  Lose();
  EXPECT_EQ(state(), State::kOpen);
}

TEST_F(CircuitBreakerTest, ASuccessBetweenStartsTheCountAgain) {
  for (int i = 0; i < 10; ++i) {
    Lose();
    Lose();
    Serve();
  }
  EXPECT_EQ(state(), State::kClosed);
}

TEST_F(CircuitBreakerTest, ADeathWithManyOnBoardIsOneFailure) {
  const absl::Time begun = now_;
  now_ += absl::Seconds(1);
  for (int i = 0; i < 20; ++i) {
    breaker_.OnFailure(begun, now_, 0.5);
    now_ += absl::Milliseconds(1);
  }
  EXPECT_EQ(state(), State::kClosed);
}

TEST_F(CircuitBreakerTest, WhatWasBegunBeforeAFailureProvesNothing) {
  const absl::Time begun = now_;
  now_ += absl::Milliseconds(1);
  Lose();
  Lose();
  Lose();
  breaker_.OnSuccess(begun);
  EXPECT_EQ(state(), State::kOpen);
}

TEST_F(CircuitBreakerTest, HalfOpenAfterTheBackOffAndClosedAfterASuccess) {
  for (int i = 0; i < 3; ++i) Lose();
  EXPECT_EQ(Wait(), absl::Seconds(1));
  EXPECT_EQ(state(), State::kHalfOpen);
  Serve();
  EXPECT_EQ(state(), State::kClosed);
  Lose();
  Lose();
  EXPECT_EQ(state(), State::kClosed);
  Lose();
  EXPECT_EQ(Wait(), absl::Seconds(1)) << "the back-off starts anew as well";
}

TEST_F(CircuitBreakerTest, EveryFailedProbeDoublesTheBackOffUpToItsLimit) {
  for (int i = 0; i < 3; ++i) Lose();
  EXPECT_EQ(Wait(), absl::Seconds(1));
  for (const int seconds : {2, 4, 5, 5}) {
    EXPECT_EQ(state(), State::kHalfOpen);
    Lose();
    EXPECT_EQ(state(), State::kOpen);
    EXPECT_EQ(Wait(), absl::Seconds(seconds));
  }
}

TEST_F(CircuitBreakerTest, JitterSpreadsTheBackOff) {
  CircuitBreaker early({.failures = 1});
  CircuitBreaker late({.failures = 1});
  early.OnFailure(now_, now_, 0);
  late.OnFailure(now_, now_, 1);
  EXPECT_EQ(early.half_open_time(now_), now_ + absl::Milliseconds(750));
  EXPECT_EQ(late.half_open_time(now_), now_ + absl::Milliseconds(1250));
}

}  // namespace
}  // namespace vallm::gateway
