#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tools/eval/compare/compare_runs.h"
#include "tools/eval/compare/significance.h"

namespace vallm::eval {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

TEST(SignificanceTest, McNemar) {
  EXPECT_EQ(McNemarExact(0, 0), 1);
  EXPECT_EQ(McNemarExact(3, 3), 1);
  EXPECT_NEAR(McNemarExact(0, 6), 0.03125, 1e-12);
  EXPECT_NEAR(McNemarExact(5, 1), 0.21875, 1e-12);
  EXPECT_NEAR(McNemarExact(1, 9), 0.021484375, 1e-12);
}

TEST(SignificanceTest, Wilson) {
  const Interval interval = WilsonInterval(0.792, 250);
  EXPECT_NEAR(interval.low, 0.7374, 1e-3);
  EXPECT_NEAR(interval.high, 0.8378, 1e-3);
  EXPECT_DOUBLE_EQ(WilsonInterval(1, 10).high, 1);
}

TEST(SignificanceTest, FisherOnTheGuidesScores) {
  EXPECT_GT(FisherExact(0.792, 250, 0.796, 250), 0.9);
  EXPECT_LT(FisherExact(0.70, 250, 0.80, 250), 0.02);
  EXPECT_NEAR(FisherExact(0.75, 4, 0.25, 4), 0.485714, 1e-5);
}

TEST(SignificanceTest, SignFlipsAndBootstrap) {
  EXPECT_EQ(SignFlipTest({0, 0}), 1);
  EXPECT_LT(SignFlipTest(std::vector<double>(20, 0.1)), 0.001);
  EXPECT_GT(SignFlipTest({0.1, -0.1, 0.2, -0.2}), 0.5);
  const Interval interval = BootstrapMean({0, 1, 0, 1, 0, 1, 0, 1});
  EXPECT_LT(interval.low, 0.3);
  EXPECT_GT(interval.high, 0.7);
}

TEST(SignificanceTest, Holm) {
  EXPECT_THAT(HolmAdjusted({0.01, 0.04, 0.03}),
              ::testing::ElementsAre(::testing::DoubleEq(0.03), ::testing::DoubleEq(0.06),
                                     ::testing::DoubleEq(0.06)));
}

Record Answer(int id, double score) {
  Record record;
  record.dataset = "d";
  record.subset = "s";
  record.id = std::to_string(id);
  record.key = record.id;
  record.messages = ShareJson(nlohmann::ordered_json::array());
  record.reply.output.content = score == 1 ? "right" : "wrong";
  record.verdict.scores = {{"acc", {score}}};
  return record;
}

// `n` questions: the first `right` are right.
std::vector<Record> RunOf(int n, int right) {
  std::vector<Record> records;
  for (int i = 0; i < n; ++i) records.push_back(Answer(i, i < right ? 1 : 0));
  return records;
}

TEST(CompareTest, ASmallDifferenceIsNoise) {
  const DatasetComparison c = CompareRecords("d", RunOf(250, 198), RunOf(250, 199));
  EXPECT_EQ(c.n, 250);
  EXPECT_NEAR(c.score_a, 0.792, 1e-9);
  EXPECT_NEAR(c.score_b, 0.796, 1e-9);
  EXPECT_EQ(c.better_b, 1);
  EXPECT_EQ(c.p, 1);
  EXPECT_THAT(ComparisonTable({c}), HasSubstr("noise"));
}

TEST(CompareTest, ALargeOneIsNot) {
  const DatasetComparison c = CompareRecords("d", RunOf(250, 180), RunOf(250, 200));
  EXPECT_EQ(c.better_b, 20);
  EXPECT_LT(c.p, 1e-4);
  EXPECT_GT(c.interval.low, 0);
  EXPECT_EQ(c.changed.size(), 20U);
  EXPECT_EQ(c.same_output, 230);
  EXPECT_THAT(ComparisonTable({c}), HasSubstr("B is better"));
}

TEST(CompareTest, QuestionsOfOneRunAreLeftOut) {
  const DatasetComparison c = CompareRecords("d", RunOf(10, 5), RunOf(7, 5));
  EXPECT_EQ(c.n, 7);
  EXPECT_EQ(c.only_in_a, 3);
  EXPECT_EQ(c.only_in_b, 0);
}

TEST(CompareTest, RepetitionsCountOnce) {
  std::vector<Record> a = RunOf(2, 1);
  a.push_back(Answer(0, 0));  // a second try of question 0
  const DatasetComparison c = CompareRecords("d", a, RunOf(2, 1));
  EXPECT_EQ(c.n, 2);
  EXPECT_NEAR(c.score_a, 0.25, 1e-9);
  EXPECT_EQ(c.test, "sign flips");
}

TEST(CompareTest, ReadsFoldersOfRuns) {
  const std::string dir = ::testing::TempDir() + "/compare_runs";
  std::filesystem::remove_all(dir);
  for (const char* run : {"a", "b"}) {
    std::filesystem::create_directories(dir + "/" + run + "/records");
    std::string text;
    for (const Record& record : RunOf(4, run[0] == 'a' ? 1 : 2)) {
      text += JsonLine(RecordToJson(record)) + "\n";
    }
    ASSERT_OK(WriteFileAtomically(dir + "/" + run + "/records/d.jsonl", text));
  }
  const auto comparisons = CompareRuns(dir + "/a", dir + "/b");
  ASSERT_OK(comparisons);
  EXPECT_EQ((*comparisons)[0].changed[0].id, "1");
  EXPECT_EQ(ComparisonToJson(*comparisons)["datasets"][0]["better_b"], 1);
  EXPECT_THAT(CompareRuns(dir + "/a", dir), StatusIs(absl::StatusCode::kNotFound, "no run"));
}

}  // namespace
}  // namespace vallm::eval
