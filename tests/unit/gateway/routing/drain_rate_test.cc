#include "gateway/routing/drain_rate.h"

#include "gmock/gmock.h"

namespace vallm::gateway {
namespace {

double Seconds(const std::optional<absl::Duration>& duration) {
  return duration.has_value() ? absl::ToDoubleSeconds(*duration) : -1;
}

TEST(DrainRateTest, KnowsNothingBeforeTheFirstSlotWasTaken) {
  EXPECT_EQ(DrainRate().TimeToFree(1, absl::UnixEpoch()), std::nullopt);
}

TEST(DrainRateTest, WhileNoneHasComeFreeItWillTakeAsLongAsItHasTaken) {
  DrainRate rate;
  rate.OnTaken(absl::UnixEpoch());
  EXPECT_DOUBLE_EQ(Seconds(rate.TimeToFree(1, absl::UnixEpoch() + absl::Seconds(8))), 8);
  EXPECT_DOUBLE_EQ(Seconds(rate.TimeToFree(3, absl::UnixEpoch() + absl::Seconds(8))), 24);
}

TEST(DrainRateTest, IsRightFromTheBeginningAndAfterAChange) {
  DrainRate rate;
  absl::Time now = absl::UnixEpoch();
  rate.OnTaken(now);
  for (int i = 0; i < 5; ++i) rate.OnFreed(now += absl::Seconds(1));
  EXPECT_NEAR(Seconds(rate.TimeToFree(10, now)), 10, 1);
  for (int i = 0; i < 1000; ++i) rate.OnFreed(now += absl::Milliseconds(100));
  EXPECT_NEAR(Seconds(rate.TimeToFree(10, now)), 1, 0.1);
  for (int i = 0; i < 60; ++i) rate.OnFreed(now += absl::Seconds(4));
  EXPECT_NEAR(Seconds(rate.TimeToFree(10, now)), 40, 6);
}

}  // namespace
}  // namespace vallm::gateway
