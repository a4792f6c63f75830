#include "tools/eval/run/runner.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_openai.h"
#include "tests/testing/status_matchers.h"
#include "tools/eval/report/html_report.h"
#include "tools/eval/report/results.h"

namespace vallm::eval {
namespace {

using nlohmann::ordered_json;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

class RunnerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    work_dir_ = ::testing::TempDir() + "/eval_" +
                ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(work_dir_);
  }

  EvalConfig Config(const std::string& more = "", const std::string& retry_interval = "0.01") {
    auto config =
        ParseEvalConfig("model: m\napi_url: " + server_.url() +
                            "\napi_key: secret\ndatasets: [mmlu_pro]\n"
                            "dataset_args: {mmlu_pro: {local_path: mmlu_pro, few_shot_num: 0}}\n"
                            "generation_config: {temperature: 0.0, retry_interval: " +
                            retry_interval + "}\nwork_dir: " + work_dir_ + "\n" + more,
                        VALLM_TEST_DATA "/eval");
    EXPECT_THAT(config, IsOk());
    return *std::move(config);
  }

  absl::StatusOr<RunOutcome> Run(const EvalConfig& config, bool interrupted = false) {
    Runner runner(config);
    EXPECT_THAT(runner.Load(), IsOk());
    return runner.Run(nullptr, [interrupted] { return interrupted; });
  }

  // Of all requests so far.
  const std::vector<ordered_json>& bodies() {
    for (auto& request : server_.TakeRequests()) {
      authorization_ = request.headers["authorization"];
      bodies_.push_back(std::move(request.body));
    }
    return bodies_;
  }

  testing::FakeOpenAi server_;
  std::string work_dir_;
  std::string authorization_;  // of the last of bodies()

 private:
  std::vector<ordered_json> bodies_;
};

TEST_F(RunnerTest, AsksJudgesAndRecords) {
  const auto outcome = Run(Config());
  ASSERT_THAT(outcome, IsOk());
  EXPECT_EQ(bodies().size(), 3U);
  EXPECT_EQ(authorization_, "Bearer secret");
  EXPECT_EQ(bodies()[0]["temperature"], 0.0);
  EXPECT_FALSE(bodies()[0].contains("retry_interval"));
  const auto records = LoadRecords(work_dir_ + "/records/mmlu_pro.jsonl");
  ASSERT_THAT(records, IsOk());
  ASSERT_EQ(records->size(), 3U);
  // Subset by subset: math before biology.
  const Record& first = records->front();
  EXPECT_EQ(first.id, "71");
  EXPECT_EQ(first.verdict.extracted, "I");
  EXPECT_EQ(first.score(), 1);
  EXPECT_EQ(first.reply.output.reasoning, "Hm.");
  EXPECT_THAT(first.reply.token_ids, ::testing::ElementsAre(1, 2));
  EXPECT_EQ(first.reply.completion_tokens, 5);
  const DatasetResult result = Summarize(outcome->datasets[0]);
  EXPECT_NEAR(result.score(), 1.0 / 3, 1e-9);
  EXPECT_EQ(result.subsets.size(), 2U);
}

TEST_F(RunnerTest, StreamsGiveTheSame) {
  const auto whole = Run(Config());
  std::filesystem::remove_all(work_dir_);
  const auto streamed = Run(Config("stream: true\nreturn_token_ids: true\n"));
  ASSERT_THAT(streamed, IsOk());
  EXPECT_EQ(bodies().back()["stream_options"]["include_usage"], true);
  EXPECT_EQ(bodies().back()["return_token_ids"], true);
  const Record& a = whole->datasets[0].records[0];
  const Record& b = streamed->datasets[0].records[0];
  EXPECT_EQ(a.reply.output.content, b.reply.output.content);
  EXPECT_EQ(a.reply.output.reasoning, b.reply.output.reasoning);
  EXPECT_EQ(a.reply.token_ids, b.reply.token_ids);
  EXPECT_EQ(a.reply.prompt_tokens, b.reply.prompt_tokens);
}

TEST_F(RunnerTest, DoesNotAskAgain) {
  ASSERT_THAT(Run(Config("limit: 1\n")), IsOk());
  EXPECT_EQ(bodies().size(), 2U);  // one of each subset
  auto outcome = Run(Config());
  EXPECT_EQ(outcome->reused, 2U);
  EXPECT_EQ(bodies().size(), 3U);
  EXPECT_EQ(outcome->datasets[0].records.size(), 3U);
  // Other settings are other requests.
  auto config = Config("repeats: 2\n");
  config.model = "other";
  outcome = Run(config);
  EXPECT_EQ(outcome->reused, 0U);
  EXPECT_EQ(outcome->unused, 3U);
  EXPECT_EQ(bodies().size(), 9U);
}

TEST_F(RunnerTest, GoesOnAfterALineThatWasCutOff) {
  ASSERT_THAT(Run(Config()), IsOk());
  const std::string path = work_dir_ + "/records/mmlu_pro.jsonl";
  auto text = ReadFile(path);
  ASSERT_THAT(WriteFileAtomically(path, text->substr(0, text->size() - 20)), IsOk());
  const auto outcome = Run(Config());
  ASSERT_THAT(outcome, IsOk());
  EXPECT_EQ(outcome->reused, 2U);
  EXPECT_EQ(LoadRecords(path)->size(), 3U);
}

TEST_F(RunnerTest, TriesAgainWhatMayPass) {
  server_.failures = 2;
  EvalConfig config = Config();
  config.eval_batch_size = 1;
  const auto outcome = Run(config);
  ASSERT_THAT(outcome, IsOk());
  EXPECT_EQ(bodies().size(), 5U);
  EXPECT_EQ(outcome->datasets[0].records[0].reply.attempts, 3);
}

// A longer wait than the test takes: the question is not asked again.
TEST_F(RunnerTest, WaitsAsLongAsIsSaidBeforeItTriesAgain) {
  server_.failures = 1;
  const EvalConfig config = Config("eval_batch_size: 1\n", "3600");
  int looked = 0;  // every 50 ms while it waits
  Runner runner(config);
  ASSERT_THAT(runner.Load(), IsOk());
  const auto outcome = runner.Run(nullptr, [&looked] { return ++looked > 40; });
  ASSERT_THAT(outcome, IsOk());
  EXPECT_TRUE(outcome->interrupted);
  EXPECT_EQ(bodies().size(), 1U);
}

TEST_F(RunnerTest, StopsAtWhatWillNotPass) {
  server_.failures = 1;
  server_.failure_status = 400;
  EvalConfig config = Config();
  config.eval_batch_size = 1;
  EXPECT_THAT(Run(config), StatusIs(absl::StatusCode::kInvalidArgument, "busy"));
  EXPECT_EQ(bodies().size(), 1U);
}

TEST_F(RunnerTest, GoesOnWithErrorsIfToldTo) {
  server_.failures = 1;
  server_.failure_status = 400;
  EvalConfig config = Config("ignore_errors: true\n");
  config.eval_batch_size = 1;
  auto outcome = Run(config);
  ASSERT_THAT(outcome, IsOk());
  const DatasetResult result = Summarize(outcome->datasets[0]);
  EXPECT_EQ(result.failed, 1);
  EXPECT_EQ(result.num, 2);
  outcome = Run(config);  // asks the one that failed
  EXPECT_EQ(Summarize(outcome->datasets[0]).failed, 0);
  EXPECT_EQ(bodies().size(), 4U);
}

TEST_F(RunnerTest, AnInterruptionAsksNothingMore) {
  const auto outcome = Run(Config(), /*interrupted=*/true);
  ASSERT_THAT(outcome, IsOk());
  EXPECT_TRUE(outcome->interrupted);
  EXPECT_TRUE(bodies().empty());
}

TEST_F(RunnerTest, ReportsShowScoresAndEscapeText) {
  server_.answer = "<b>The answer is (I)</b>";
  const auto outcome = Run(Config());
  ASSERT_THAT(outcome, IsOk());
  Results results{.model = "m<1>",
                  .api_url = server_.url(),
                  .finished = absl::UnixEpoch(),
                  .seconds = 1,
                  .datasets = {Summarize(outcome->datasets[0])},
                  .config = WithoutApiKey("model: m\napi_key: secret\n")};
  EXPECT_THAT(SummaryTable(results), HasSubstr("| mmlu_pro | 2          | 3          | 0.3333 |"));
  const ordered_json json = ResultsToJson(results);
  EXPECT_EQ(json["datasets"][0]["metric"], "AverageAccuracy");
  EXPECT_THAT(json["config"].get<std::string>(), ::testing::Not(HasSubstr("secret")));
  const std::string page = HtmlReport(results, *outcome);
  EXPECT_THAT(page, HasSubstr("&lt;b&gt;The answer is (I)&lt;/b&gt;"));
  EXPECT_THAT(page, ::testing::Not(HasSubstr("http-equiv")));
  EXPECT_THAT(page, ::testing::Not(HasSubstr("<b>The")));
}

TEST_F(RunnerTest, ALimitThatLeavesNothingIsRefused) {
  Runner runner(Config("limit: 0.01\n"));
  EXPECT_THAT(runner.Load(),
              StatusIs(absl::StatusCode::kInvalidArgument, "limit leaves none of the 3 questions"));
}

TEST(ResultsTest, HidesKeysHoweverTheyAreWritten) {
  for (const char* config : {"model: m\napi_key: secret\nlimit: 5\n",
                             "{\"model\": \"m\", \"api_key\": \"secret\", \"limit\": 5}",
                             "{model: m, api_key: secret, limit: 5}", "api_key: 'secret'\nlimit: 5",
                             "api_key:\n  secret\nlimit: 5", "api_key: >-\n  secret\nlimit: 5",
                             "a: {judge_api_key: secret}\nb: secret\nlimit: 5"}) {
    const std::string hidden = WithoutApiKey(config);
    EXPECT_THAT(hidden, ::testing::Not(HasSubstr("secret"))) << config;
    EXPECT_THAT(hidden, HasSubstr("5")) << config;
  }
}

TEST(BeginningTest, CutsBetweenCharacters) {
  EXPECT_EQ(Beginning("北京", 4), "北");
  EXPECT_EQ(Beginning("北京", 6), "北京");
  EXPECT_EQ(Beginning("", 0), "");
}

TEST(ParseApiUrlTest, CompletesThePath) {
  EXPECT_EQ(ParseApiUrl("http://h:1")->path, "/v1/chat/completions");
  EXPECT_EQ(ParseApiUrl("http://h:1/v1/")->path, "/v1/chat/completions");
  EXPECT_EQ(ParseApiUrl("http://h:1/x/chat/completions")->path, "/x/chat/completions");
  EXPECT_FALSE(ParseApiUrl("h:1").ok());
}

}  // namespace
}  // namespace vallm::eval
