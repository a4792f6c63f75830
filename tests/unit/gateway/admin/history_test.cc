#include "gateway/admin/history.h"

#include "gtest/gtest.h"

namespace vallm::gateway {
namespace {

constexpr int64_t kStart = 1'700'000'000;  // a multiple of 10

HistorySample Second(int64_t second, int64_t generated, int running = 0) {
  HistorySample sample;
  sample.second = second;
  sample.generated_tokens = generated;
  sample.running = running;
  return sample;
}

TEST(History, IsEmptyAtFirst) { EXPECT_TRUE(History().Query(0, 1).empty()); }

TEST(History, GivesSecondsAsTheyWere) {
  History history;
  history.Add(Second(kStart, 5, 1));
  history.Add(Second(kStart + 1, 7, 2));
  const auto points = history.Query(kStart, 1);
  ASSERT_EQ(points.size(), 2u);
  EXPECT_EQ(points[0].time, kStart);
  EXPECT_EQ(points[0].values->generated_tokens_per_second, 5);
  EXPECT_EQ(points[1].time, kStart + 1);
  EXPECT_EQ(points[1].values->running, 2);
}

TEST(History, SumsUpAlignedStepsThatAreComplete) {
  History history;
  for (int i = 0; i < 25; ++i) history.Add(Second(kStart + i, i, 4));
  const auto points = history.Query(kStart + 3, 10);
  ASSERT_EQ(points.size(), 2u);  // the third is not over
  EXPECT_EQ(points[0].time, kStart);
  EXPECT_EQ(points[0].values->generated_tokens_per_second, 4.5);
  EXPECT_EQ(points[1].values->generated_tokens_per_second, 14.5);
  EXPECT_EQ(points[1].values->running, 4);
}

TEST(History, CountsRequestsAndJoinsTheirTimes) {
  History history;
  for (int i = 0; i < 2; ++i) {
    HistorySample sample = Second(kStart + i, 0);
    sample.requests.succeeded = 3;
    sample.requests.failed = i;
    sample.requests.first_token.Add(absl::Milliseconds(i == 0 ? 10 : 1000));
    history.Add(sample);
  }
  const auto points = history.Query(kStart, 2);
  ASSERT_EQ(points.size(), 1u);
  EXPECT_EQ(points[0].values->succeeded, 6);
  EXPECT_EQ(points[0].values->failed, 1);
  EXPECT_LT(*points[0].values->first_token_p50, absl::Milliseconds(12));
  EXPECT_GT(*points[0].values->first_token_p99, absl::Milliseconds(900));
}

TEST(History, LeavesGapsOpen) {
  History history;
  history.Add(Second(kStart, 6));
  history.Add(Second(kStart + 4, 8));
  const auto points = history.Query(kStart, 1);
  ASSERT_EQ(points.size(), 5u);
  EXPECT_FALSE(points[1].values.has_value());
  EXPECT_TRUE(points[4].values.has_value());
  EXPECT_EQ(history.Query(kStart, 5)[0].values->generated_tokens_per_second, 7);
}

TEST(History, ForgetsAfterAnHour) {
  History history;
  for (int i = 0; i < History::kSeconds + 100; ++i) history.Add(Second(kStart + i, i));
  const auto points = history.Query(0, 1);
  ASSERT_EQ(points.size(), static_cast<size_t>(History::kSeconds));
  EXPECT_EQ(points.front().time, kStart + 100);
  EXPECT_EQ(points.front().values->generated_tokens_per_second, 100);
  EXPECT_EQ(points.back().values->generated_tokens_per_second, History::kSeconds + 99);
}

}  // namespace
}  // namespace vallm::gateway
