// The vallm-gateway binary: flags, signals, exit codes.

#include <signal.h>

#include <regex>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/testing/gateway_fixture.h"
#include "tests/testing/subprocess.h"

namespace vallm::testing {
namespace {

using ::testing::HasSubstr;

class GatewayProcessTest : public ::testing::Test {
 protected:
  // Starts the binary in front of the fakes and waits until it serves.
  void StartProcess(std::vector<std::string> flags,
                    const std::vector<std::string>& environment = {}) {
    std::vector<std::string> argv = {VALLM_BIN_DIR "/vallm-gateway",
                                     "--host",
                                     "127.0.0.1",
                                     "--port",
                                     "0",
                                     "--management-host",
                                     "127.0.0.1",
                                     "--management-port",
                                     "0",
                                     "--engine",
                                     engine_.address(),
                                     "--tokenizer",
                                     tokenizer_.address()};
    argv.insert(argv.end(), flags.begin(), flags.end());
    process_ = std::make_unique<Subprocess>(argv, "", environment);
    const std::regex ports("serving on port ([0-9]+), management on port ([0-9]+)");
    for (int i = 0; i < 2000; ++i) {
      const std::string log = process_->ErrorOutput();
      std::smatch match;
      if (std::regex_search(log, match, ports)) {
        port_ = std::stoi(match[1]);
        httplib::Client management("127.0.0.1", std::stoi(match[2]));
        const auto ready = management.Get("/health/ready");
        if (ready && ready->status == 200) return;
      }
      absl::SleepFor(absl::Milliseconds(5));
    }
    FAIL() << "not ready: " << process_->ErrorOutput();
  }

  FakeEngine engine_;
  FakeTokenizer tokenizer_;
  std::unique_ptr<Subprocess> process_;
  int port_ = 0;
};

TEST_F(GatewayProcessTest, SigtermFinishesTheStreamAndExitsWithZero) {
  engine_.SetScript({.tokens = Ids("abcdefghij"), .delay = absl::Milliseconds(30)});
  StartProcess({});
  std::string body;
  std::thread client([&] {
    httplib::Client http("127.0.0.1", port_);
    const Json request = {{"messages", {{{"role", "user"}, {"content", "hi"}}}}, {"stream", true}};
    const auto result = http.Post("/v1/chat/completions", request.dump(), "application/json");
    if (result) body = result->body;
  });
  ASSERT_TRUE(engine_.WaitForRunning(1, absl::Seconds(5)));
  process_->Signal(SIGTERM);
  ASSERT_TRUE(process_->Wait(absl::Seconds(10)));
  client.join();
  EXPECT_EQ(process_->exit_code(), 0);
  EXPECT_THAT(body, ::testing::EndsWith("data: [DONE]\n\n"));
  EXPECT_THAT(body, HasSubstr("\"finish_reason\":\"stop\""));
}

TEST_F(GatewayProcessTest, OneLineIsLoggedPerRequest) {
  engine_.SetScript({.tokens = Ids("abc")});
  StartProcess({"--served-model-name", "m"});
  httplib::Client http("127.0.0.1", port_);
  const Json request = {{"messages", {{{"role", "user"}, {"content", "secret words"}}}}};
  ASSERT_EQ(http.Post("/v1/chat/completions", {{"X-Request-Id", "log-me"}}, request.dump(),
                      "application/json")
                ->status,
            200);
  const std::string log = process_->ErrorOutput();
  EXPECT_THAT(log, ::testing::ContainsRegex(
                       "request log-me POST /v1/chat/completions status=200 "
                       "trace=[0-9a-f]+ id=chatcmpl-[0-9a-f]+ model=m "
                       "instance=engine-0 prompt_tokens=[0-9]+ cached_tokens=0 "
                       "completion_tokens=3 queue_ms=[0-9]+ ttft_ms=[0-9]+ finish=stop "
                       "total_ms=[0-9]+"));
  EXPECT_THAT(log, Not(HasSubstr("secret")));
}

TEST_F(GatewayProcessTest, AKeyCanComeFromTheEnvironment) {
  StartProcess({}, {"VALLM_API_KEY=from-env"});
  httplib::Client http("127.0.0.1", port_);
  EXPECT_EQ(http.Get("/v1/models")->status, 401);
  EXPECT_EQ(http.Get("/v1/models", {{"Authorization", "Bearer from-env"}})->status, 200);
}

TEST_F(GatewayProcessTest, BadFlagsAreUsageErrors) {
  for (const std::vector<std::string>& flags :
       {std::vector<std::string>{},
        {"--engine", "x", "--port", "99999"},
        {"--engine", "x", "--no-such-flag"},
        {"--engine", "x", "--tool-call-parser", "x"},
        {"--engine", "x", "--reasoning-parser", "x"},
        {"--engine", "x", "--drain-timeout", "nan"},
        {"--engine", "x", "--max-tokens-overflow", "maybe"}}) {
    std::vector<std::string> argv = {VALLM_BIN_DIR "/vallm-gateway"};
    argv.insert(argv.end(), flags.begin(), flags.end());
    Subprocess process(argv);
    ASSERT_TRUE(process.Wait(absl::Seconds(10)));
    EXPECT_EQ(process.exit_code(), 2);
  }
}

TEST_F(GatewayProcessTest, ATakenPortIsAnErrorThatNamesIt) {
  StartProcess({});
  Subprocess second({VALLM_BIN_DIR "/vallm-gateway", "--host", "127.0.0.1", "--port",
                     std::to_string(port_), "--management-port", "0", "--engine",
                     engine_.address()});
  ASSERT_TRUE(second.Wait(absl::Seconds(10)));
  EXPECT_EQ(second.exit_code(), 1);
  EXPECT_THAT(second.ErrorOutput(), HasSubstr(absl::StrCat("127.0.0.1:", port_)));
}

}  // namespace
}  // namespace vallm::testing
