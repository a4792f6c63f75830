#include "gateway/admin/request_log.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace vallm::gateway {
namespace {

std::shared_ptr<RequestTrace> Begin(RequestLog& log, const std::string& id) {
  return log.Begin(id, "/v1/chat/completions", "team-a", absl::Now());
}

RequestProgress WithModel(const std::string& model) {
  RequestProgress progress;
  progress.model = model;
  return progress;
}

TEST(RequestLog, ARequestIsUnderWayUntilItEnds) {
  RequestLog log;
  auto trace = Begin(log, "a");
  ASSERT_EQ(log.Active(10).size(), 1u);
  EXPECT_EQ(log.Active(10)[0].id, "a");
  EXPECT_EQ(log.Active(10)[0].key_name, "team-a");
  EXPECT_TRUE(log.Recent(10).empty());
  RequestProgress progress = WithModel("m");
  progress.completion_tokens = 3;
  trace->Update(progress);
  EXPECT_EQ(log.Active(10)[0].progress.completion_tokens, 3);
  trace->End(200);
  EXPECT_EQ(log.active_count(), 0u);
  ASSERT_EQ(log.Recent(10).size(), 1u);
  const RequestEntry entry = log.Recent(10)[0];
  EXPECT_EQ(entry.status, 200);
  EXPECT_EQ(entry.progress.model, "m");
  EXPECT_GE(*entry.ended, entry.arrived);
}

TEST(RequestLog, TheFirstEndCounts) {
  RequestLog log;
  auto trace = Begin(log, "a");
  trace->End(429);
  trace->End(200);
  trace->Update(WithModel("late"));
  trace.reset();
  ASSERT_EQ(log.Recent(10).size(), 1u);
  EXPECT_EQ(log.Recent(10)[0].status, 429);
  EXPECT_EQ(log.Recent(10)[0].progress.model, "");
  EXPECT_EQ(log.TakeCounts().refused, 1);
}

TEST(RequestLog, ATraceThatIsDroppedIsAClientThatWent) {
  RequestLog log;
  Begin(log, "a");
  EXPECT_EQ(log.active_count(), 0u);
  ASSERT_EQ(log.Recent(10).size(), 1u);
  EXPECT_EQ(log.Recent(10)[0].status, 499);
  EXPECT_EQ(log.TakeCounts().aborted, 1);
}

TEST(RequestLog, RequestsOfOneIdAreTwo) {
  RequestLog log;
  auto one = Begin(log, "same");
  auto two = Begin(log, "same");
  EXPECT_EQ(log.active_count(), 2u);
  one->End(200);
  EXPECT_EQ(log.active_count(), 1u);
}

TEST(RequestLog, KeepsTheLatest) {
  RequestLog log(/*capacity=*/3);
  for (int i = 0; i < 5; ++i) Begin(log, absl::StrCat(i))->End(200);
  const auto recent = log.Recent(10);
  ASSERT_EQ(recent.size(), 3u);
  EXPECT_EQ(recent[0].id, "4");
  EXPECT_EQ(recent[2].id, "2");
  ASSERT_EQ(log.Recent(1).size(), 1u);
  EXPECT_EQ(log.Recent(1)[0].id, "4");
}

TEST(RequestLog, ShowsTheOldestOfThoseUnderWay) {
  RequestLog log;
  auto a = Begin(log, "a");
  auto b = Begin(log, "b");
  ASSERT_EQ(log.Active(1).size(), 1u);
  EXPECT_EQ(log.Active(1)[0].id, "a");
}

TEST(RequestLog, CountsSinceItWasLastAsked) {
  RequestLog log;
  for (const int status : {200, 200, 404, 503, 499}) Begin(log, "x")->End(status);
  auto streaming = Begin(log, "y");
  RequestProgress progress;
  progress.first_token = absl::Now() + absl::Seconds(2);
  streaming->Update(progress);
  progress.completion_tokens = 9;
  streaming->Update(progress);
  const RequestCounts counts = log.TakeCounts();
  EXPECT_EQ(counts.succeeded, 2);
  EXPECT_EQ(counts.refused, 1);
  EXPECT_EQ(counts.failed, 1);
  EXPECT_EQ(counts.aborted, 1);
  EXPECT_EQ(counts.first_token.count(), 1);  // once per request
  EXPECT_GT(*counts.first_token.Quantile(1), absl::Seconds(1));
  EXPECT_EQ(log.TakeCounts().succeeded, 0);
}

}  // namespace
}  // namespace vallm::gateway
