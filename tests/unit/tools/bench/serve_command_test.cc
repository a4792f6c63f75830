// Every flag of `vallm bench serve` has its effect.
#include "tools/bench/serve_command.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/tools/bench/flag_cases.h"
#include "tokenizer_service/bpe/tokenizer.h"

namespace vallm::tools {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::SizeIs;

const std::string kModel = VALLM_SOURCE_DIR "/tools/demo_model/Qwen3-Demo-MoE-FP8";

class ServeFlagsTest : public ::testing::Test {
 protected:
  ServeFlagsTest()
      : fixture_(RunBenchServe,
                 {"--tokenizer=" + kModel, "--random-input-len=6", "--random-output-len=4",
                  "--num-prompts=3", "--skip-initial-test", "--save-result", "--save-detailed",
                  "--result-filename=r.json"},
                 "r.json") {
    unsetenv("OPENAI_API_KEY");
  }

  static int64_t Tokens(const std::string& text) {
    static const auto& tokenizer = *tokenizer::Tokenizer::FromModelDir(kModel).value().release();
    return static_cast<int64_t>(tokenizer.Encode(text)->size());
  }
  // The flags with which the prompts are of a data set, then `flags`.
  std::vector<std::string> Of(const std::string& dataset, std::vector<std::string> flags) const {
    flags.push_back("--dataset-name=" + dataset);
    const auto file = [&](const std::string& text) {
      flags.push_back("--dataset-path=" + fixture_.dir().Write(dataset, text));
    };
    if (dataset == "custom") file("{\"prompt\": \"one two\"}\n");
    if (dataset == "sonnet") file("Shall I compare thee\nto a summer's day?\n");
    if (dataset == "sharegpt") {
      file(R"([{"conversations": [{"value": "What is the number of the word?"},
                                  {"value": "The number is one and two."}]}])");
    }
    return flags;
  }
  // A prompt's tokens as sent and as counted, and how long its answer may be.
  static auto Lengths(int64_t input, int64_t output) {
    return [=](const BenchRun& run) {
      EXPECT_EQ(Tokens(run.Sent("prompt")), input);
      EXPECT_THAT(run.result["input_lens"], Each(input));
      EXPECT_EQ(run.Sent("max_tokens"), output);
    };
  }

  std::vector<FlagCase> DatasetCases() const {
    const auto range = [](const BenchRun& run) {
      for (const auto& request : run.requests) EXPECT_NE(request.body["max_tokens"], 64);
    };
    return {
        {{"--random-input-len=11"}, Lengths(11, 4)},
        {{"--input-len=12", "--no=random-input-len"}, Lengths(12, 4)},
        {{"--random-output-len=7"}, Lengths(6, 7)},
        {{"--output-len=8", "--no=random-output-len"}, Lengths(6, 8)},
        {{"--random-prefix-len=5"}, Lengths(11, 4)},
        {{"--random-range-ratio=0.9", "--random-output-len=64", "--seed=1"}, range},
        {Of("custom", {}), Lengths(2, 256)},
        {Of("custom", {"--custom-output-len=9"}), Lengths(2, 9)},
        {Of("sonnet", {"--sonnet-input-len=60", "--sonnet-prefix-len=40"}), Lengths(60, 150)},
        {Of("sonnet", {"--sonnet-input-len=60", "--sonnet-prefix-len=40", "--sonnet-output-len=9"}),
         Lengths(60, 9)},
        {Of("sharegpt", {"--sharegpt-output-len=13"}),
         Lengths(Tokens("What is the number of the word?"), 13)},
        {Of("prefix_repetition",
            {"--prefix-repetition-prefix-len=10", "--prefix-repetition-suffix-len=3",
             "--prefix-repetition-num-prefixes=1", "--prefix-repetition-output-len=5"}),
         Lengths(13, 5)},
    };
  }

  std::vector<FlagCase> OutputCases() const {
    const std::string other = fixture_.dir().path("other");
    const std::string csv = fixture_.dir().path("b.csv");
    return {
        {{"--num-prompts=2"}, [](const BenchRun& run) { EXPECT_THAT(run.requests, SizeIs(2)); }},
        {{"--max-concurrency=2"},
         [](const BenchRun& run) {
           EXPECT_LE(run.result["max_concurrent_requests"], 2);
           EXPECT_EQ(run.result["max_concurrency"], 2);
         }},
        {{"--result-filename=named.json"},
         [this](const BenchRun&) {
           EXPECT_TRUE(std::filesystem::exists(fixture_.dir().path("out/named.json")));
         }},
        {{"--result-dir=" + other},
         [other](const BenchRun&) { EXPECT_TRUE(std::filesystem::exists(other + "/r.json")); }},
        {{"--csv=" + csv},
         [csv](const BenchRun&) {
           std::string header, line;
           std::ifstream file(csv);
           EXPECT_TRUE(std::getline(file, header) && std::getline(file, line));
           EXPECT_THAT(header, HasSubstr("Maximum req,"));
         }},
    };
  }

  BenchFixture fixture_;
};

TEST_F(ServeFlagsTest, CommonFlags) {
  fixture_.Check(CommonFlagCases(fixture_));
  CheckCommonFlags(fixture_);
}

TEST_F(ServeFlagsTest, Datasets) { fixture_.Check(DatasetCases()); }

TEST_F(ServeFlagsTest, PrefixesAreShared) {
  const auto beginnings = [&](std::vector<std::string> flags) {
    flags.push_back("--num-prompts=4");
    std::set<std::string> found;
    for (const auto& request : fixture_.Run(flags).requests) {
      const std::string prompt = request.body["prompt"];
      found.insert(prompt.substr(0, prompt.find(' ', prompt.find(' ') + 1)));
    }
    return found.size();
  };
  EXPECT_EQ(beginnings({}), 4U);
  EXPECT_EQ(beginnings({"--random-prefix-len=5"}), 1U);
  const auto repeated = [&](const std::string& prefixes, const std::string& length) {
    return beginnings(Of("prefix_repetition", {"--prefix-repetition-suffix-len=9",
                                               "--prefix-repetition-num-prefixes=" + prefixes,
                                               "--prefix-repetition-prefix-len=" + length}));
  };
  EXPECT_EQ(repeated("1", "5"), 1U);
  EXPECT_EQ(repeated("2", "5"), 2U);
  EXPECT_EQ(repeated("1", "0"), 4U);
}

TEST_F(ServeFlagsTest, Outputs) {
  fixture_.fake().delay = absl::Milliseconds(10);  // requests meet in the server
  fixture_.Check(OutputCases());
  EXPECT_TRUE(fixture_.Run({"--no=save-result"}).result.is_null());
  EXPECT_FALSE(fixture_.Run({"--no=save-detailed"}).result.contains("ttfts"));
}

TEST_F(ServeFlagsTest, Traffic) {
  const auto due = [&](std::vector<std::string> flags) {
    const BenchRun run = fixture_.Run(flags);
    EXPECT_EQ(run.exit_code, 0) << run.errors;
    return run.result["due_times"].get<std::vector<double>>();
  };
  EXPECT_EQ(due({}), std::vector<double>(3, 0));
  const auto poisson = due({"--request-rate=100"});
  const auto faster = due({"--request-rate=200"});
  EXPECT_GT(poisson[2], 0);
  EXPECT_NEAR(faster[2], poisson[2] / 2, 1e-9);
  EXPECT_NE(due({"--request-rate=100", "--burstiness=0.5"}), poisson);
  const auto ramp = [&](const char* strategy, int begin, int end) {
    return due({absl::StrCat("--ramp-up-strategy=", strategy),
                absl::StrCat("--ramp-up-start-rps=", begin),
                absl::StrCat("--ramp-up-end-rps=", end)});
  };
  const auto linear = ramp("linear", 100, 400);
  EXPECT_NE(ramp("exponential", 100, 400), linear);
  EXPECT_NE(ramp("linear", 200, 400), linear);
  EXPECT_NE(ramp("linear", 100, 800), linear);
}

// One place: what waits for it was due long before it was sent.
TEST_F(ServeFlagsTest, LatencyFromSent) {
  fixture_.fake().delay = absl::Milliseconds(20);
  const std::vector<std::string> flags = {"--request-rate=1000000", "--max-concurrency=1"};
  const Json due = fixture_.Run(flags).result;
  EXPECT_GE(due["ttfts"][2], due["start_times"][2]);
  std::vector<std::string> from_sent = flags;
  from_sent.push_back("--latency-from-sent");
  const Json sent = fixture_.Run(from_sent).result;
  EXPECT_LT(sent["ttfts"][2], sent["start_times"][2]);
}

TEST_F(ServeFlagsTest, NoFlagIsWithoutATest) {
  std::set<std::string> tested = CheckCommonFlags(fixture_);
  for (const auto& cases : {CommonFlagCases(fixture_), DatasetCases(), OutputCases()}) {
    tested.merge(FlagsOfCases(cases));
  }
  tested.erase("--no");
  tested.merge(std::set<std::string>{"--save-result", "--save-detailed", "--request-rate",
                                     "--burstiness", "--ramp-up-strategy", "--ramp-up-start-rps",
                                     "--ramp-up-end-rps", "--latency-from-sent"});
  EXPECT_EQ(testing::FlagsOf(RunBenchServe), tested);
}

}  // namespace
}  // namespace vallm::tools
