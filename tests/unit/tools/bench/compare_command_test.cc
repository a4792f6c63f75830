// Every flag of `vallm bench compare` has its effect.
#include "tools/bench/compare_command.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/command_run.h"
#include "tests/testing/test_certificates.h"

namespace vallm::tools {
namespace {

using nlohmann::json;
using testing::CommandRun;
using ::testing::HasSubstr;

class CompareFlagsTest : public ::testing::Test {
 protected:
  // A result whose answers begin after about `ttft_ms`.
  std::string Result(const std::string& name, double ttft_ms) const {
    json result = {{"model_id", "m"},        {"num_prompts", 8},
                   {"max_concurrency", 2},   {"request_rate", "inf"},
                   {"completed", 8},         {"total_input_tokens", 80},
                   {"duration", 2.0},        {"output_throughput", 20.0},
                   {"mean_ttft_ms", ttft_ms}};
    for (int i = 0; i < 8; ++i) {
      result["input_lens"].push_back(10);
      result["output_lens"].push_back(5);
      result["ttfts"].push_back((ttft_ms + i % 4) / 1000);
      result["itls"].push_back({0.01, 0.01, 0.01, 0.01});
      result["errors"].push_back("");
    }
    return dir_.Write(name, result.dump());
  }
  CommandRun Compare(std::vector<std::string> flags) const {
    flags.insert(flags.begin(), {a_, b_});
    return testing::RunCommand(RunBenchCompare, flags);
  }
  // The intervals with these flags.
  json Intervals(std::vector<std::string> flags) const {
    flags.push_back("--json");
    const json printed = json::parse(Compare(flags).output);
    json intervals;
    for (const json& figure : printed["comparisons"][0]["figures"]) {
      intervals[std::string(figure["figure"])] = figure["interval"];
    }
    return intervals;
  }

  const testing::TestDirectory dir_;
  const std::string a_ = Result("a.json", 100);
  const std::string b_ = Result("b.json", 120);
};

TEST_F(CompareFlagsTest, Json) {
  EXPECT_TRUE(json::accept(Compare({"--json"}).output));
  EXPECT_FALSE(json::accept(Compare({}).output));
}

TEST_F(CompareFlagsTest, ResamplesAndSeed) {
  const json usual = Intervals({});
  EXPECT_TRUE(usual["Mean TTFT (ms)"].is_array()) << usual;
  EXPECT_EQ(Intervals({}), usual);
  EXPECT_NE(Intervals({"--resamples=100"}), usual);
  EXPECT_NE(Intervals({"--seed=9"}), usual);
}

TEST_F(CompareFlagsTest, FailIfWorse) {
  EXPECT_THAT(Compare({}).output, HasSubstr("WORSE"));
  EXPECT_EQ(Compare({}).exit_code, 0);
  EXPECT_EQ(Compare({"--fail-if-worse=5"}).exit_code, 3);
  EXPECT_EQ(Compare({"--fail-if-worse=50"}).exit_code, 0);
}

TEST_F(CompareFlagsTest, NoFlagIsWithoutATest) {
  EXPECT_EQ(testing::FlagsOf(RunBenchCompare),
            (std::set<std::string>{"--resamples", "--seed", "--fail-if-worse", "--json"}));
}

}  // namespace
}  // namespace vallm::tools
