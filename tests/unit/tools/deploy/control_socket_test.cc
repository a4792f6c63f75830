#include "tools/deploy/control_socket.h"

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::tools {
namespace {

using nlohmann::ordered_json;
using ::vallm::testing::StatusIs;

class ControlSocketTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "control_XXXXXX";
    dir_ = mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::string dir_;
};

// Serves until it goes out of scope.
class EchoServer {
 public:
  explicit EchoServer(const std::string& directory) {
    auto server = ControlServer::Listen(directory);
    EXPECT_OK(server);
    thread_ = std::thread([this, server = *std::move(server)] {
      while (!stop_) {
        server->Serve([](const ordered_json& call) { return ordered_json{{"you_said", call}}; });
        absl::SleepFor(absl::Milliseconds(1));
      }
    });
  }
  ~EchoServer() {
    stop_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

TEST_F(ControlSocketTest, AnswersCalls) {
  EchoServer server(dir_);
  const auto reply = CallSupervisor(dir_, {{"method", "status"}, {"text", std::string(9000, 'x')}});
  ASSERT_OK(reply);
  EXPECT_EQ((*reply)["you_said"]["method"], "status");
  EXPECT_EQ((*reply)["you_said"]["text"].get<std::string>().size(), 9000U);
}

TEST_F(ControlSocketTest, APathMayBeLongerThanASocketsAddress) {
  for (int i = 0; i < 12; ++i) dir_ += "/a-rather-long-name";
  std::filesystem::create_directories(dir_);
  EchoServer server(dir_);
  EXPECT_OK(CallSupervisor(dir_, {{"method", "status"}}));
}

TEST_F(ControlSocketTest, SaysThatNobodyListens) {
  EXPECT_THAT(CallSupervisor(dir_, {{"method", "status"}}),
              StatusIs(absl::StatusCode::kUnavailable, dir_));
  { EchoServer server(dir_); }
  EXPECT_FALSE(std::filesystem::exists(dir_ + "/control.sock"));
  EXPECT_THAT(CallSupervisor(dir_ + "/nowhere", {}), StatusIs(absl::StatusCode::kUnavailable, ""));
}

TEST_F(ControlSocketTest, TakesThePlaceOfADeadServer) {
  { std::filesystem::create_symlink("/nowhere", dir_ + "/control.sock"); }
  EchoServer server(dir_);
  EXPECT_OK(CallSupervisor(dir_, {{"method", "status"}}));
}

}  // namespace
}  // namespace vallm::tools
