#include "tools/serve/preflight.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tools/serve/ports.h"

namespace vallm::tools {
namespace {

using testing::IsOk;
using testing::StatusIs;

// Holds a port on 127.0.0.1 that the kernel picked.
class TakenPort {
 public:
  TakenPort() : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(fd_, 1), 0);
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~TakenPort() { close(fd_); }
  int port() const { return port_; }

 private:
  int fd_;
  int port_ = 0;
};

TEST(Ports, KnowsWhetherAPortIsFree) {
  int port = 0;
  {
    TakenPort taken;
    port = taken.port();
    EXPECT_THAT(
        CheckPortFree("127.0.0.1", port),
        StatusIs(absl::StatusCode::kUnavailable, absl::StrCat("port ", port, " is in use")));
    EXPECT_FALSE(CheckPortFree("0.0.0.0", port).ok());
  }
  EXPECT_OK(CheckPortFree("127.0.0.1", port));
}

TEST(Ports, RefusesAHostThatIsNotHere) {
  EXPECT_THAT(CheckPortFree("192.0.2.1", 20000),
              StatusIs(absl::StatusCode::kInvalidArgument, "not an address of this machine"));
}

TEST(Ports, PicksPortsThatServersCanKeep) {
  std::set<int> taken;
  for (int i = 0; i < 20; ++i) {
    const auto port = PickFreePort(taken);
    ASSERT_THAT(port, IsOk());
    EXPECT_LT(*port, 32768) << "the kernel may give it to an outgoing connection";
    EXPECT_TRUE(taken.insert(*port).second);
  }
}

class Preflight : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string path = ::testing::TempDir() + "preflight_XXXXXX";
    dir_ = mkdtemp(path.data());
    options_.engine.model_dir = dir_;
    options_.host = "127.0.0.1";
    options_.port = *PickFreePort({});
    options_.management_port = *PickFreePort({options_.port});
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  void Write(const std::string& name) { std::ofstream(dir_ + "/" + name) << "{}"; }

  std::string dir_;
  ServeOptions options_;
};

TEST_F(Preflight, NamesTheFileThatIsMissing) {
  constexpr auto kNotFound = absl::StatusCode::kNotFound;
  EXPECT_THAT(CheckFiles(options_), StatusIs(kNotFound, "config.json"));
  Write("config.json");
  EXPECT_THAT(CheckFiles(options_), StatusIs(kNotFound, "tokenizer.json"));
  Write("tokenizer.json");
  EXPECT_THAT(CheckFiles(options_), StatusIs(kNotFound, "no *.safetensors"));
  Write("model.safetensors");
  EXPECT_OK(CheckFiles(options_));
  options_.chat_template = dir_ + "/absent.jinja";
  EXPECT_THAT(CheckFiles(options_), StatusIs(kNotFound, "--chat-template: cannot read"));
  options_.engine.model_dir = dir_ + "/absent";
  EXPECT_THAT(CheckFiles(options_), StatusIs(kNotFound, "does not exist"));
}

TEST_F(Preflight, PicksDifferentInternalPorts) {
  options_.instances = 3;
  const auto ports = ReservePorts(options_);
  ASSERT_THAT(ports, IsOk());
  std::set<int> all(ports->engines.begin(), ports->engines.end());
  all.insert({ports->tokenizer, options_.port, options_.management_port});
  EXPECT_EQ(all.size(), 6u);
}

TEST_F(Preflight, NumbersGivenEnginePortsOn) {
  options_.instances = 2;
  options_.engine_port = *PickFreePort({options_.port, options_.management_port});
  const auto ports = ReservePorts(options_);
  ASSERT_THAT(ports, IsOk());
  EXPECT_EQ(ports->engines, (std::vector<int>{options_.engine_port, options_.engine_port + 1}));
}

TEST_F(Preflight, NamesTheFlagOfAPortThatIsTaken) {
  TakenPort taken;
  options_.management_port = taken.port();
  EXPECT_THAT(ReservePorts(options_),
              StatusIs(absl::StatusCode::kUnavailable, "--management-port: port"));
  options_.management_port = options_.port;
  EXPECT_THAT(ReservePorts(options_),
              StatusIs(absl::StatusCode::kInvalidArgument, "is given twice"));
}

TEST_F(Preflight, RefusesALogDirectoryThatCannotBe) {
  Write("file");
  EXPECT_THAT(PrepareLogDir(dir_ + "/file/logs"),
              StatusIs(absl::StatusCode::kFailedPrecondition, "--log-dir"));
  EXPECT_OK(PrepareLogDir(dir_ + "/a/b"));
  EXPECT_TRUE(std::filesystem::is_directory(dir_ + "/a/b"));
}

}  // namespace
}  // namespace vallm::tools
