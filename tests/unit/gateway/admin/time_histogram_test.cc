#include "gateway/admin/time_histogram.h"

#include "gtest/gtest.h"

namespace vallm::gateway {
namespace {

void ExpectNear(std::optional<absl::Duration> got, absl::Duration want) {
  ASSERT_TRUE(got.has_value());
  EXPECT_NEAR(absl::FDivDuration(*got, want), 1, 0.1) << *got << " for " << want;
}

TEST(TimeHistogram, IsEmptyAtFirst) {
  EXPECT_EQ(TimeHistogram().Quantile(0.5), std::nullopt);
  EXPECT_EQ(TimeHistogram().count(), 0);
}

TEST(TimeHistogram, TellsQuantilesToWithinATenth) {
  TimeHistogram histogram;
  for (int i = 1; i <= 1000; ++i) histogram.Add(absl::Milliseconds(i));
  EXPECT_EQ(histogram.count(), 1000);
  ExpectNear(histogram.Quantile(0.5), absl::Milliseconds(500));
  ExpectNear(histogram.Quantile(0.99), absl::Milliseconds(990));
  ExpectNear(histogram.Quantile(1), absl::Milliseconds(1000));
  ExpectNear(histogram.Quantile(0.001), absl::Milliseconds(1));
}

TEST(TimeHistogram, TakesWhatIsOutOfRange) {
  TimeHistogram histogram;
  histogram.Add(-absl::Seconds(1));
  histogram.Add(absl::ZeroDuration());
  EXPECT_LT(*histogram.Quantile(1), absl::Milliseconds(1));
  histogram.Add(absl::InfiniteDuration());
  EXPECT_GT(*histogram.Quantile(1), absl::Hours(1));
  EXPECT_EQ(histogram.count(), 3);
}

TEST(TimeHistogram, AUnionHasTheQuantilesOfAll) {
  TimeHistogram fast;
  TimeHistogram slow;
  for (int i = 0; i < 98; ++i) fast.Add(absl::Milliseconds(20));
  for (int i = 0; i < 2; ++i) slow.Add(absl::Seconds(3));
  TimeHistogram both;
  both.Merge(fast);
  both.Merge(TimeHistogram());
  both.Merge(slow);
  EXPECT_EQ(both.count(), 100);
  ExpectNear(both.Quantile(0.98), absl::Milliseconds(20));
  ExpectNear(both.Quantile(0.99), absl::Seconds(3));
}

}  // namespace
}  // namespace vallm::gateway
