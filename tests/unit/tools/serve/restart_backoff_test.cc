#include "tools/serve/restart_backoff.h"

#include <vector>

#include "gtest/gtest.h"

namespace vallm::tools {
namespace {

TEST(RestartBackoff, DoublesFromHalfASecondToThirty) {
  RestartBackoff backoff;
  std::vector<double> seconds;
  for (int i = 0; i < 9; ++i) {
    seconds.push_back(absl::ToDoubleSeconds(backoff.NextDelay(absl::Seconds(1))));
  }
  EXPECT_EQ(seconds, (std::vector<double>{0, 0.5, 1, 2, 4, 8, 16, 30, 30}));
}

TEST(RestartBackoff, StartsOverAfterAMinuteOfLife) {
  RestartBackoff backoff;
  for (int i = 0; i < 5; ++i) backoff.NextDelay(absl::Seconds(59));
  EXPECT_EQ(backoff.NextDelay(absl::Seconds(60)), absl::ZeroDuration());
  EXPECT_EQ(backoff.NextDelay(absl::Seconds(1)), absl::Milliseconds(500));
}

}  // namespace
}  // namespace vallm::tools
