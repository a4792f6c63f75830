// The vallm-engine binary: start, text prompts, drain on SIGTERM, and what is left after a kill.
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/grpc_channel.h"
#include "common/grpc_status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/grpc_probe.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/subprocess.h"
#include "vallm/v1/engine.grpc.pb.h"

namespace vallm {
namespace {

using ::testing::HasSubstr;
using testing::Subprocess;

const char kBinary[] = VALLM_BIN_DIR "/vallm-engine";
const char kDemoModel[] = VALLM_SOURCE_DIR "/tools/demo_model/Qwen3-Demo-MoE-FP8";
constexpr absl::Duration kPatience = absl::Seconds(30);

class EngineProcess : public ::testing::Test {
 protected:
  void Start(std::vector<std::string> flags) {
    std::vector<std::string> argv = {kBinary, "--model", kDemoModel, "--listen", address_};
    argv.insert(argv.end(), flags.begin(), flags.end());
    process_ = std::make_unique<Subprocess>(argv);
    channel_ = NewChannel(address_);
    stub_ = v1::Engine::NewStub(channel_);
  }
  void WaitUntilServing() {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
    auto reader = stub_->WatchLoad(&context, {});
    v1::Load load;
    while (reader->Read(&load)) {
      if (load.state() != v1::INSTANCE_STATE_SERVING) continue;
      context.TryCancel();
      return;
    }
    FAIL() << process_->ErrorOutput();
  }
  // A long stream, read up to its first chunk.
  std::unique_ptr<grpc::ClientReader<v1::GenerateChunk>> StartStream(grpc::ClientContext& context,
                                                                     int max_tokens) {
    v1::GenerateRequest request;
    request.set_text("Hello");
    request.mutable_stop()->set_eos_mode(v1::EOS_MODE_IGNORE);
    request.mutable_stop()->set_max_tokens(max_tokens);
    auto reader = stub_->GenerateStream(&context, request);
    v1::GenerateChunk chunk;
    EXPECT_TRUE(reader->Read(&chunk));
    tokens_ = chunk.token_ids_size();
    return reader;
  }
  absl::Status Finish(grpc::ClientReader<v1::GenerateChunk>& reader) {
    for (v1::GenerateChunk chunk; reader.Read(&chunk);) tokens_ += chunk.token_ids_size();
    return FromGrpc(reader.Finish());
  }
  std::vector<pid_t> Workers() const {
    std::vector<pid_t> workers;
    for (const pid_t pid : testing::DescendantsOf(process_->pid())) {
      if (testing::ProgramOf(pid) == "vallm-worker") workers.push_back(pid);
    }
    return workers;
  }
  static bool AllGoneWithin(const std::vector<pid_t>& pids, absl::Duration patience) {
    const absl::Time give_up = absl::Now() + patience;
    while (std::any_of(pids.begin(), pids.end(), testing::ProcessExists)) {
      if (absl::Now() > give_up) return false;
      absl::SleepFor(absl::Milliseconds(5));
    }
    return true;
  }

  const std::string address_ =
      "unix:" + ::testing::TempDir() + "/vallm-engine-" + std::to_string(getpid()) + ".sock";
  std::unique_ptr<Subprocess> process_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Engine::Stub> stub_;
  int tokens_ = 0;
};

TEST_F(EngineProcess, NoWorkerSurvivesAKilledEngine) {
  Start({"--tensor-parallel-size", "2"});
  WaitUntilServing();
  grpc::ClientContext context;
  const auto stream = StartStream(context, 3000);
  const std::vector<pid_t> workers = Workers();
  ASSERT_EQ(workers.size(), 2u);
  process_->Signal(SIGKILL);
  ASSERT_TRUE(process_->Wait(kPatience));
  EXPECT_TRUE(AllGoneWithin(workers, absl::Seconds(5)));
  EXPECT_EQ(Finish(*stream).code(), absl::StatusCode::kUnavailable);
}

TEST_F(EngineProcess, SigtermLetsAStreamEndAndLeavesNothing) {
  Start({"--tensor-parallel-size", "2"});
  WaitUntilServing();
  grpc::ClientContext context;
  const auto stream = StartStream(context, 200);
  const std::vector<pid_t> workers = Workers();
  // A terminal or service manager signals the whole group: the workers must not mind.
  for (const pid_t worker : workers) kill(worker, SIGTERM);
  for (const pid_t worker : workers) kill(worker, SIGINT);
  process_->Signal(SIGTERM);
  EXPECT_OK(Finish(*stream));
  EXPECT_EQ(tokens_, 200);
  ASSERT_TRUE(process_->Wait(kPatience));
  EXPECT_EQ(process_->exit_code(), 0) << process_->ErrorOutput();
  EXPECT_TRUE(AllGoneWithin(workers, absl::ZeroDuration()));
}

TEST_F(EngineProcess, SigtermDoesNotWaitLongerThanTheDrainTimeout) {
  Start({"--drain-timeout", "0.2"});
  WaitUntilServing();
  grpc::ClientContext context;
  const auto stream = StartStream(context, 4000);
  const absl::Time begin = absl::Now();
  process_->Signal(SIGTERM);
  EXPECT_EQ(Finish(*stream).code(), absl::StatusCode::kUnavailable);
  ASSERT_TRUE(process_->Wait(kPatience));
  EXPECT_EQ(process_->exit_code(), 0);
  EXPECT_LT(absl::Now() - begin, absl::Seconds(5));
}

TEST_F(EngineProcess, LogsOneLinePerRequestAndOneFilePerProcess) {
  const std::filesystem::path dir =
      std::filesystem::path(::testing::TempDir()) / ("engine-logs-" + std::to_string(getpid()));
  Start({"--log-dir", dir.string(), "--name", "engine-7", "--tp", "2"});
  WaitUntilServing();
  v1::GenerateRequest request;
  request.set_request_id("my-request");
  request.set_text("Hello");
  request.mutable_stop()->set_max_tokens(2);
  grpc::ClientContext context;
  v1::GenerateResponse response;
  ASSERT_OK(FromGrpc(stub_->Generate(&context, request, &response)));
  process_->Signal(SIGTERM);
  ASSERT_TRUE(process_->Wait(kPatience));

  const auto read = [&](const std::string& name) {
    std::ifstream file(dir / name);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  };
  const std::string log = read("engine-7.log");
  EXPECT_THAT(log, HasSubstr("request my-request FINISH_REASON_LENGTH: prompt 1, completion 2"));
  EXPECT_EQ(log.find("my-request"), log.rfind("my-request")) << log;
  EXPECT_THAT(read("engine-7-worker-0.log"), HasSubstr("rank 0 of 2 is ready"));
  EXPECT_THAT(read("engine-7-worker-1.log"), HasSubstr("rank 1 of 2 is ready"));
  std::filesystem::remove_all(dir);
}

TEST_F(EngineProcess, SaysWhyItCannotServe) {
  const auto fails = [&](std::vector<std::string> argv, int code, const std::string& text) {
    argv.insert(argv.begin(), kBinary);
    Subprocess process(argv);
    ASSERT_TRUE(process.Wait(kPatience));
    EXPECT_EQ(process.exit_code(), code);
    EXPECT_THAT(process.ErrorOutput(), HasSubstr(text));
  };
  fails({}, 2, "--model");
  fails({"--model", "/nonexistent"}, 1, "/nonexistent");
  fails({"--model", kDemoModel, "--device", "vacc"}, 1, "libvallm_vacc.so");
  fails({"--model", kDemoModel, "--max-model-len", "8192"}, 1, "the model has 4096 positions");
  fails({"--model", kDemoModel, "--tp", "3"}, 1, "3");
  fails(
      {"--model", kDemoModel, "--worker-binary", "/nonexistent/worker", "--listen", "127.0.0.1:0"},
      1, "cannot run /nonexistent/worker");
}

}  // namespace
}  // namespace vallm
