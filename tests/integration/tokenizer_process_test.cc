// The vallm-tokenizer binary: flags, start, drain on SIGTERM.
#include <grpcpp/grpcpp.h>
#include <httplib.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/grpc_channel.h"
#include "common/grpc_server.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/grpc_probe.h"
#include "tests/testing/subprocess.h"
#include "vallm/v1/tokenizer.grpc.pb.h"

namespace vallm {
namespace {

using ::testing::HasSubstr;
using testing::Subprocess;

const char kBinary[] = VALLM_BIN_DIR "/vallm-tokenizer";
const char kDemoModel[] = VALLM_SOURCE_DIR "/tools/demo_model/Qwen3-Demo-MoE-FP8";

constexpr absl::Duration kPatience = absl::Seconds(30);

std::string SocketAddress() {
  return "unix:" + ::testing::TempDir() + "/vallm-tokenizer-" + std::to_string(getpid()) + ".sock";
}

TEST(TokenizerProcess, FinishesAnOpenStreamBeforeItStops) {
  const std::string address = SocketAddress();
  Subprocess process({kBinary, "--model", kDemoModel, "--listen", address});
  const auto channel = NewChannel(address);
  ASSERT_EQ(testing::CheckHealth(channel, "vallm.v1.Tokenizer"), "SERVING");

  grpc::ClientContext context;
  auto stub = v1::Tokenizer::NewStub(channel);
  auto stream = stub->ParseStream(&context);
  v1::ParseStreamRequest request;
  request.mutable_open();
  ASSERT_TRUE(stream->Write(request));
  request.mutable_tokens()->add_token_ids(40);
  ASSERT_TRUE(stream->Write(request));
  v1::ParseEvents events;
  ASSERT_TRUE(stream->Read(&events));

  process.Signal(SIGTERM);
  // New calls are refused at once.
  for (int i = 0; i < 500; ++i) {
    grpc::ClientContext info_context;
    v1::TokenizerInfo info;
    if (!stub->GetInfo(&info_context, v1::GetInfoRequest(), &info).ok()) break;
    ASSERT_LT(i, 499) << "still takes calls";
    absl::SleepFor(absl::Milliseconds(10));
  }
  request.mutable_finish()->set_finish_reason("stop");
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(stream->Read(&events));
  EXPECT_EQ(events.events(events.events_size() - 1).finish().finish_reason(), "stop");
  EXPECT_TRUE(stream->Finish().ok());
  ASSERT_TRUE(process.Wait(kPatience));
  EXPECT_EQ(process.exit_code(), 0) << process.ErrorOutput();
}

TEST(TokenizerProcess, CutsOffAStreamWhenTheGraceIsOver) {
  const std::string address = SocketAddress();
  Subprocess process({kBinary, "--model", kDemoModel, "--listen", address, "--drain-timeout", "1"});
  const auto channel = NewChannel(address);
  ASSERT_EQ(testing::CheckHealth(channel, "vallm.v1.Tokenizer"), "SERVING");
  grpc::ClientContext context;
  auto stub = v1::Tokenizer::NewStub(channel);
  auto stream = stub->ParseStream(&context);
  v1::ParseStreamRequest request;
  request.mutable_open();
  ASSERT_TRUE(stream->Write(request));
  request.mutable_tokens()->add_token_ids(40);
  ASSERT_TRUE(stream->Write(request));
  v1::ParseEvents events;
  ASSERT_TRUE(stream->Read(&events));

  const absl::Time start = absl::Now();
  process.Signal(SIGTERM);
  EXPECT_FALSE(stream->Read(&events));
  EXPECT_FALSE(stream->Finish().ok());
  ASSERT_TRUE(process.Wait(kPatience));
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(900));
  EXPECT_EQ(process.exit_code(), 0) << process.ErrorOutput();
}

TEST(TokenizerProcess, ServesMetrics) {
  // A port that was free a moment ago.
  int port = 0;
  {
    auto probe = GrpcServer::Start("127.0.0.1:0", {});
    ASSERT_TRUE(probe.ok());
    port = (*probe)->port();
  }
  const std::string address = SocketAddress();
  Subprocess process({kBinary, "--model", kDemoModel, "--listen", address, "--metrics-listen",
                      "127.0.0.1:" + std::to_string(port)});
  const auto channel = NewChannel(address);
  ASSERT_EQ(testing::CheckHealth(channel, "vallm.v1.Tokenizer"), "SERVING");
  grpc::ClientContext context;
  v1::TokenizerInfo info;
  ASSERT_TRUE(v1::Tokenizer::NewStub(channel)->GetInfo(&context, v1::GetInfoRequest(), &info).ok());
  httplib::Client http("127.0.0.1", port);
  const auto response = http.Get("/metrics");
  ASSERT_TRUE(response);
  EXPECT_THAT(response->body,
              HasSubstr("vallm_tokenizer_requests_total{code=\"OK\",method=\"GetInfo\"} 1"));
  process.Signal(SIGTERM);
  ASSERT_TRUE(process.Wait(kPatience));
  EXPECT_EQ(process.exit_code(), 0) << process.ErrorOutput();
}

TEST(TokenizerProcess, SaysWhyItCannotServe) {
  struct Case {
    std::vector<std::string> flags;
    int exit_code;
    const char* message;
  };
  const std::string bad_template =
      ::testing::TempDir() + "/vallm-bad-" + std::to_string(getpid()) + ".jinja";
  std::ofstream(bad_template) << "{{ 1/0 }}";
  const std::vector<Case> cases = {
      {{"--model", "/nonexistent"}, 1, "/nonexistent/tokenizer.json"},
      {{"--listen", "127.0.0.1:0"}, 2, "--model"},
      {{"--model", kDemoModel, "--default-chat-template-kwargs", "nonsense"}, 1, "JSON object"},
      {{"--model", kDemoModel, "--default-chat-template-kwargs", "{\"messages\": 1}"},
       1,
       "messages"},
      {{"--model", kDemoModel, "--default-chat-template-kwargs",
        "{\"continue_final_message\": true}"},
       1,
       "continue_final_message"},
      {{"--model", kDemoModel, "--chat-template", bad_template}, 1, "division"},
      {{"--model", kDemoModel, "--drain-timeout", "nan"}, 2, "nan"},
      {{"--model", kDemoModel, "--listen", "256.0.0.1:1"}, 1, "cannot listen on 256.0.0.1:1"},
  };
  for (const Case& row : cases) {
    std::vector<std::string> argv = {kBinary};
    argv.insert(argv.end(), row.flags.begin(), row.flags.end());
    Subprocess process(argv);
    ASSERT_TRUE(process.Wait(kPatience));
    EXPECT_EQ(process.exit_code(), row.exit_code) << process.ErrorOutput();
    EXPECT_THAT(process.ErrorOutput(), HasSubstr(row.message));
  }
}

}  // namespace
}  // namespace vallm
