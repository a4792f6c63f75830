// The files and the table of a result, whose names scripts rely on.
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/testing/status_matchers.h"
#include "tools/bench/request_body.h"
#include "tools/bench/result_json.h"
#include "tools/bench/result_table.h"
#include "tools/bench/vendor_csv.h"

namespace vallm::tools {
namespace {

using Json = nlohmann::ordered_json;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using testing::StatusIs;

RunDescription Description() {
  return {.date = "20261130-031500",
          .backend = "vllm",
          .model_id = "/models/Qwen3-30B",
          .tokenizer_id = "/models/Qwen3-30B",
          .num_prompts = 2,
          .traffic = {.max_concurrency = 4},
          .metadata = {{"Device", "VA16*8"}},
          .percentile_metrics = {"ttft", "itl"},
          .detailed = true};
}

BenchOutcome Outcome() {
  BenchOutcome outcome;
  outcome.duration_s = 2;
  outcome.records.resize(2);
  RequestRecord& good = outcome.records[0];
  good.success = true;
  good.ttft_s = 0.25;
  good.itls_s = {0.5};
  good.latency_s = 0.75;
  good.prompt_tokens = 10;
  good.output_tokens = 2;
  good.text = "ab";
  outcome.records[1].error = "status 429: queue full";
  return outcome;
}

Json Result(const RunDescription& run) {
  const BenchOutcome outcome = Outcome();
  const MetricOptions options = {.percentiles = {99, 99.9}, .goodput = {}};
  return ResultJson(run, outcome, options, Summarize(outcome.records, outcome.duration_s, options));
}

std::string Read(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(ResultFilesTest, TheJsonHasVllmsKeys) {
  const Json json = Result(Description());
  EXPECT_EQ(json["request_rate"], "inf");
  EXPECT_EQ(json["max_concurrency"], 4);
  EXPECT_EQ(json["completed"], 1);
  EXPECT_EQ(json["total_output_tokens"], 2);
  EXPECT_EQ(json["ttfts"], Json({0.25, 0.0}));
  EXPECT_EQ(json["itls"], Json({{0.5}, Json::array()}));
  EXPECT_EQ(json["output_lens"], Json({2, 0}));
  EXPECT_EQ(json["errors"], Json({"", "status 429: queue full"}));
  EXPECT_EQ(json["generated_texts"][0], "ab");
  EXPECT_EQ(json["mean_ttft_ms"], 250.0);
  EXPECT_EQ(json["p99.9_itl_ms"], 500.0);
  EXPECT_TRUE(json.contains("std_itl_ms"));
  EXPECT_FALSE(json.contains("mean_tpot_ms"));  // not among --percentile-metrics
  EXPECT_EQ(json["Device"], "VA16*8");
  EXPECT_TRUE(json["request_goodput:"].is_null());
  EXPECT_EQ(json["per_req_decoding_token_throughput"], 2.0);
  EXPECT_EQ(json["decoding_token_throughput"], 8.0);
  RunDescription brief = Description();
  brief.detailed = false;
  EXPECT_FALSE(Result(brief).contains("ttfts"));
}

TEST(ResultFilesTest, TheDefaultNameIsVllms) {
  RunDescription run = Description();
  EXPECT_EQ(DefaultResultName(run), "vllm-infqps-concurrency4-Qwen3-30B-20261130-031500.json");
  run.traffic.request_rate = 4;
  run.traffic.max_concurrency = 0;
  EXPECT_EQ(DefaultResultName(run), "vllm-4.0qps-Qwen3-30B-20261130-031500.json");
}

TEST(ResultFilesTest, TheTableHasVllmsLines) {
  const BenchOutcome outcome = Outcome();
  const std::string table =
      ResultTable(Description(), {}, Summarize(outcome.records, outcome.duration_s, {}));
  EXPECT_THAT(table, StartsWith("============ Serving Benchmark Result ============\n"
                                "Successful requests:                     1         \n"));
  EXPECT_THAT(table, HasSubstr("\nBenchmark duration (s):                  2.00      \n"));
  EXPECT_THAT(table, HasSubstr("\n---------------Time to First Token----------------\n"
                               "Mean TTFT (ms):                          250.00    \n"
                               "Median TTFT (ms):                        250.00    \n"
                               "P99 TTFT (ms):                           250.00    \n"));
  EXPECT_THAT(table, HasSubstr("\n---------------Inter-token Latency----------------\n"));
}

TEST(ResultFilesTest, TheCsvIsTheVendors) {
  const std::string path = ::testing::TempDir() + "result_files_test.csv";
  std::remove(path.c_str());
  ASSERT_TRUE(AppendVendorCsv(path, Result(Description())).ok());
  ASSERT_TRUE(AppendVendorCsv(path, Result(Description())).ok());
  std::istringstream lines(Read(path));
  std::string header, first, second, none;
  std::getline(lines, header);
  std::getline(lines, first);
  std::getline(lines, second);
  EXPECT_FALSE(std::getline(lines, none));
  EXPECT_THAT(header, StartsWith("\xEF\xBB\xBFMaximum req,Duration (s),Successful req,input "
                                 "tokens,generated tokens,Req throughput (req/s),"));
  EXPECT_THAT(first, StartsWith("4,2.00,1,10.00,2.00,0.50,1.00,6.00,250.00,0.00,8.00,2.00,"));
  EXPECT_THAT(first, HasSubstr(",VA16*8,vallm "));
  EXPECT_THAT(first, ::testing::EndsWith(",2026-11-30 03"));
  EXPECT_EQ(first, second);
  EXPECT_EQ(CsvLine({"a", "b,c", "d\"e"}), "a,\"b,c\",\"d\"\"e\"\n");
  std::ofstream(path) << "x,y\n";
  EXPECT_THAT(AppendVendorCsv(path, Result(Description())),
              StatusIs(absl::StatusCode::kFailedPrecondition, "other columns"));
}

TEST(RequestBodyTest, SaysWhatEachBackendWants) {
  RequestOptions options;
  options.model = "m";
  options.ignore_eos = true;
  options.temperature = 0;
  options.extra_body = R"({"top_k": 3, "max_tokens": 7})";
  const BenchPrompt prompt = {.text = "hi", .tokens = 1, .output_tokens = 5};
  Json body = Json::parse(RequestBody(options, prompt));
  EXPECT_EQ(body["prompt"], "hi");
  EXPECT_EQ(body["max_tokens"], 7);
  EXPECT_EQ(body["top_k"], 3);
  EXPECT_EQ(body["ignore_eos"], true);
  EXPECT_EQ(body["stream_options"]["include_usage"], true);
  EXPECT_FALSE(body.contains("logprobs"));
  options = RequestOptions();
  options.chat = true;
  options.logprobs = 2;
  body = Json::parse(RequestBody(options, prompt));
  EXPECT_EQ(body["messages"].dump(),
            R"([{"role":"user","content":[{"type":"text","text":"hi"}]}])");
  EXPECT_EQ(body["max_completion_tokens"], 5);
  EXPECT_EQ(body["top_logprobs"], 2);
  EXPECT_FALSE(body.contains("temperature"));
  EXPECT_FALSE(body.contains("ignore_eos"));
  options.extra_body = "[1]";
  EXPECT_THAT(CheckRequestOptions(options),
              StatusIs(absl::StatusCode::kInvalidArgument, "--extra-body"));
}

}  // namespace
}  // namespace vallm::tools
