// `vallm bench` against `vallm serve` with the mock device.
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/testing/subprocess.h"
#include "tools/serve/ports.h"

namespace vallm::tools {
namespace {

using nlohmann::json;
using ::testing::Each;
using ::testing::Eq;
using ::testing::HasSubstr;
using testing::ProcessExists;
using testing::Subprocess;

const std::string kVallm = VALLM_BIN_DIR "/vallm";
const std::string kModel = VALLM_SOURCE_DIR "/tools/demo_model/Qwen3-Demo-MoE-FP8";
constexpr absl::Duration kPatience = absl::Seconds(60);

// One server for all tests.
class BenchTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::string path = ::testing::TempDir() + "bench_XXXXXX";
    dir_ = mkdtemp(path.data());
    port_ = *PickFreePort({});
    serve_ = new Subprocess({kVallm, "serve", kModel, "--device=mock", "--mock-step-time=0.001",
                             absl::StrCat("--port=", port_),
                             absl::StrCat("--management-port=", *PickFreePort({port_})),
                             "--host=127.0.0.1", "--served-model-name=demo", "--api-key=secret",
                             absl::StrCat("--log-dir=", dir_, "/logs")});
    const absl::Time deadline = absl::Now() + kPatience;
    while (serve_->Output().find("is ready after") == std::string::npos) {
      ASSERT_TRUE(absl::Now() < deadline && ProcessExists(serve_->pid())) << serve_->ErrorOutput();
      absl::SleepFor(absl::Milliseconds(20));
    }
  }
  static void TearDownTestSuite() {
    serve_->Signal(SIGTERM);
    serve_->Wait(kPatience);
    delete serve_;
    std::filesystem::remove_all(dir_);
  }

  struct Ended {
    int exit_code = -1;
    std::string output;
    std::string errors;
  };
  static Ended Bench(std::vector<std::string> arguments,
                     const std::vector<std::string>& environment = {"OPENAI_API_KEY=secret"}) {
    arguments.insert(arguments.begin(), {kVallm, "bench"});
    Subprocess bench(arguments, "", environment);
    EXPECT_TRUE(bench.Wait(kPatience));
    return {bench.exit_code(), bench.Output(), bench.ErrorOutput()};
  }
  static std::vector<std::string> Serve(std::vector<std::string> more) {
    more.insert(more.begin(), {"serve", absl::StrCat("--port=", port_), "--tokenizer=" + kModel,
                               "--result-dir=" + dir_, "--ignore-eos", "--num-prompts=6",
                               "--random-input-len=40", "--random-output-len=9"});
    return more;
  }
  static json Read(const std::string& name) {
    std::stringstream text;
    text << std::ifstream(dir_ + "/" + name).rdbuf();
    return json::parse(text.str());
  }

  static std::string dir_;
  static int port_;
  static Subprocess* serve_;
};

std::string BenchTest::dir_;
int BenchTest::port_ = 0;
Subprocess* BenchTest::serve_ = nullptr;

TEST_F(BenchTest, MeasuresCompletionsWithTheServersCounts) {
  const Ended ended = Bench(
      Serve({"--max-concurrency=3", "--save-result", "--save-detailed", "--result-filename=a.json",
             "--csv=" + dir_ + "/a.csv", "--percentile-metrics=ttft,tpot,itl,e2el"}));
  ASSERT_EQ(ended.exit_code, 0) << ended.errors;
  EXPECT_EQ(ended.errors, "");
  EXPECT_THAT(ended.output, HasSubstr("Successful requests:                     6 "));
  EXPECT_THAT(ended.output, HasSubstr("Total input tokens:                      240 "));
  const json result = Read("a.json");
  EXPECT_EQ(result["model_id"], "demo");
  EXPECT_THAT(result["server_input_lens"], Each(Eq(40)));
  EXPECT_THAT(result["output_lens"], Each(Eq(9)));
  EXPECT_EQ(result["total_output_tokens"], 54);
  EXPECT_EQ(result["max_concurrent_requests"], 3);
  for (size_t i = 0; i < 6; ++i) {
    double latency = result["ttfts"][i];
    for (const double gap : result["itls"][i]) latency += gap;
    EXPECT_NEAR(latency, result["latencies"][i], 1e-9);
    EXPECT_LE(result["latencies"][i], result["duration"]);
  }
  std::ifstream csv(dir_ + "/a.csv");
  std::string header, line;
  std::getline(csv, header);
  EXPECT_TRUE(std::getline(csv, line));
  EXPECT_THAT(line, HasSubstr("3,"));
}

TEST_F(BenchTest, MeasuresChatsOnASchedule) {
  const Ended ended =
      Bench(Serve({"--backend=openai-chat", "--request-rate=200", "--burstiness=0.5",
                   "--save-result", "--save-detailed", "--result-filename=chat.json"}));
  ASSERT_EQ(ended.exit_code, 0) << ended.errors;
  const json result = Read("chat.json");
  EXPECT_EQ(result["completed"], 6);
  EXPECT_EQ(result["latency_from"], "due");
  EXPECT_EQ(result["due_times"][0], 0.0);
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_GE(result["start_times"][i], result["due_times"][i]);
    EXPECT_GT(result["server_input_lens"][i], 40);  // the template
    EXPECT_EQ(result["input_lens"][i], 40);
  }
}

// One place only: what waits for it was due long before it was sent, and that counts.
TEST_F(BenchTest, WaitingForAPlaceIsPartOfTheLatency) {
  const auto ttfts = [&](const std::string& name, std::vector<std::string> more) {
    more.insert(more.end(), {"--request-rate=1000000", "--max-concurrency=1", "--save-result",
                             "--save-detailed", "--result-filename=" + name});
    const Ended ended = Bench(Serve(more));
    EXPECT_EQ(ended.exit_code, 0) << ended.errors;
    return Read(name);
  };
  const json due = ttfts("due.json", {});
  EXPECT_GE(due["ttfts"][5],
            due["start_times"][5].get<double>() - due["due_times"][5].get<double>());
  EXPECT_GT(due["ttfts"][5], due["latencies"][0]);
  const json sent = ttfts("sent.json", {"--latency-from-sent"});
  EXPECT_LE(sent["ttfts"][5].get<double>(),
            sent["duration"].get<double>() - sent["start_times"][5].get<double>());
}

TEST_F(BenchTest, ASweepGoesOnWhereItStopped) {
  const std::vector<std::string> command = {"sweep",
                                            absl::StrCat("--port=", port_),
                                            "--tokenizer=" + kModel,
                                            "--concurrency=2,1",
                                            "--input-lens=16",
                                            "--output-lens=4,5000",
                                            "--result-dir=" + dir_ + "/sweep"};
  const Ended first = Bench(command);
  ASSERT_EQ(first.exit_code, 0) << first.errors;
  EXPECT_THAT(first.output, HasSubstr("[1/2] c2_i16o4: 10 requests"));
  const json summary = Read("sweep/sweep.json");
  EXPECT_EQ(summary["cells"].size(), 4u);
  EXPECT_EQ(summary["cells"][0]["result"]["total_output_tokens"], 40);
  EXPECT_THAT(std::string(summary["cells"][2]["skipped"]), HasSubstr("5016 tokens > 4096"));
  const json kept = Read("sweep/c2_i16o4.json");
  std::filesystem::remove(dir_ + "/sweep/c1_i16o4.json");  // as if it had been interrupted there
  const Ended second = Bench(command);
  EXPECT_THAT(second.output, HasSubstr("[1/2] c2_i16o4: measured before"));
  EXPECT_THAT(second.output, HasSubstr("[2/2] c1_i16o4: 5 requests"));
  EXPECT_EQ(Read("sweep/c2_i16o4.json"), kept);
  EXPECT_EQ(Read("sweep/sweep.json")["cells"][1]["result"]["completed"], 5);

  const Ended compared = Bench({"compare", dir_ + "/sweep", dir_ + "/sweep", "--json"});
  ASSERT_EQ(compared.exit_code, 0) << compared.errors;
  EXPECT_EQ(json::parse(compared.output)["comparisons"].size(), 2u);
  Subprocess report({kVallm, "report", dir_ + "/sweep", "--output=" + dir_ + "/page.html"});
  ASSERT_TRUE(report.Wait(kPatience));
  EXPECT_EQ(report.exit_code(), 0);
  EXPECT_GT(std::filesystem::file_size(dir_ + "/page.html"), 10000u);
}

TEST_F(BenchTest, SaysWhatWentWrong) {
  const Ended no_key = Bench(Serve({"--served-model-name=demo"}), {"OPENAI_API_KEY="});
  EXPECT_EQ(no_key.exit_code, 1);
  EXPECT_THAT(no_key.errors, HasSubstr("the initial test run failed: status 401"));
  const Ended no_server = Bench({"serve", "--port=1", "--tokenizer=" + kModel});
  EXPECT_EQ(no_server.exit_code, 1);
  EXPECT_THAT(no_server.errors, HasSubstr("Connection refused"));
  EXPECT_THAT(no_server.errors, HasSubstr("Is the server running?"));
  const Ended no_tokenizer = Bench({"serve", absl::StrCat("--port=", port_)});
  EXPECT_EQ(no_tokenizer.exit_code, 2);
  EXPECT_THAT(no_tokenizer.errors, HasSubstr("--tokenizer"));
  for (const auto& [flag, text] : std::vector<std::pair<std::string, std::string>>{
           {"--goodput=latency:3", "ttft, tpot, e2el"},
           {"--percentile-metrics=ttfb", "ttfb"},
           {"--metric-percentiles=101", "101"},
           {"--metadata=x", "NAME=VALUE"},
           {"--extra-body=3", "JSON object"},
           {"--ramp-up-strategy=linear", "--ramp-up-start-rps"}}) {
    const Ended ended = Bench(Serve({flag}));
    EXPECT_EQ(ended.exit_code, 2) << flag;
    EXPECT_THAT(ended.errors, HasSubstr(text));
  }
}

TEST_F(BenchTest, FailedRequestsAreCountedAndNamed) {
  const Ended ended =
      Bench(Serve({"--skip-initial-test", "--random-prefix-len=5000", "--save-result",
                   "--save-detailed", "--result-filename=failed.json"}));
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.errors, HasSubstr("6 failed: status 400: "));
  EXPECT_EQ(Read("failed.json")["failed"], 6);
}

}  // namespace
}  // namespace vallm::tools
