#include "engine_service/restart_backoff.h"

#include "gtest/gtest.h"

namespace vallm::engine {
namespace {

TEST(RestartBackoffTest, StartsAtOnceThenDoublesUpToHalfAMinute) {
  RestartBackoff backoff;
  for (const double seconds : {0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0}) {
    EXPECT_EQ(backoff.Next(absl::Seconds(1)), absl::Seconds(seconds));
  }
}

TEST(RestartBackoffTest, TenSecondsOfServiceForgiveWhatWasBefore) {
  RestartBackoff backoff;
  for (int i = 0; i < 5; ++i) backoff.Next(absl::ZeroDuration());
  EXPECT_EQ(backoff.Next(absl::Seconds(10)), absl::ZeroDuration());
  EXPECT_EQ(backoff.Next(absl::Seconds(9)), absl::Milliseconds(500));
}

}  // namespace
}  // namespace vallm::engine
