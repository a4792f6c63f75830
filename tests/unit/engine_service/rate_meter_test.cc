#include "engine_service/rate_meter.h"

#include "gtest/gtest.h"

namespace vallm::engine {
namespace {

TEST(RateMeterTest, ConvergesToASteadyRateAndForgets) {
  RateMeter meter(absl::Seconds(3));
  absl::Time now = absl::FromUnixSeconds(1000);
  EXPECT_EQ(meter.PerSecond(now), 0);
  for (int i = 0; i < 3000; ++i) {
    now += absl::Milliseconds(10);
    meter.Add(2, now);
  }
  EXPECT_NEAR(meter.PerSecond(now), 200, 1);
  EXPECT_NEAR(meter.PerSecond(now + absl::Seconds(3)), 200 / 2.718, 1);
  EXPECT_LT(meter.PerSecond(now + absl::Minutes(1)), 1e-5);
}

TEST(RateMeterTest, AClockThatIsSetBackDoesNoHarm) {
  RateMeter meter(absl::Seconds(1));
  const absl::Time now = absl::FromUnixSeconds(1000);
  meter.Add(5, now);
  meter.Add(5, now - absl::Hours(1));
  EXPECT_NEAR(meter.PerSecond(now), 10, 1e-9);
}

}  // namespace
}  // namespace vallm::engine
