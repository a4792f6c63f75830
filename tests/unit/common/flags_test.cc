#include "common/flags.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vallm {
namespace {

struct Options {
  int port = 8000;
  std::string model;
  double wait_s = 0;
  std::vector<std::string> keys;
  bool verbose = false;
};

class FlagsTest : public ::testing::Test {
 protected:
  void TearDown() override { unsetenv("VALLM_MAX_PORT"); }

  std::optional<int> Parse(std::vector<std::string> args) {
    FlagParser flags("prog", "A program.", "  prog --model x");
    flags.app().add_option("--max-port", options_.port)->check(CLI::Range(0, 65535));
    flags.app().add_option("--model", options_.model);
    flags.app().add_option("--wait", options_.wait_s)->check(Timeout());
    flags.app().add_option("--api-key", options_.keys);
    flags.app().add_flag("--verbose", options_.verbose);
    args.insert(args.begin(), "prog");
    std::vector<char*> argv;
    for (std::string& arg : args) argv.push_back(arg.data());
    return flags.Parse(static_cast<int>(argv.size()), argv.data());
  }

  std::string Config(const std::string& text) {
    const std::string path =
        (std::filesystem::path(::testing::TempDir()) / "flags_test.yaml").string();
    std::ofstream(path) << text;
    return path;
  }

  Options options_;
};

TEST_F(FlagsTest, CommandLineWinsOverFileWinsOverEnvironment) {
  const std::string file = Config("max_port: 1\nmodel: from-file\n");
  setenv("VALLM_MAX_PORT", "2", 1);
  EXPECT_EQ(Parse({}), std::nullopt);
  EXPECT_EQ(options_.port, 2);
  EXPECT_EQ(Parse({"--config", file}), std::nullopt);
  EXPECT_EQ(options_.port, 1);
  EXPECT_EQ(options_.model, "from-file");
  EXPECT_EQ(Parse({"--config", file, "--max-port", "3"}), std::nullopt);
  EXPECT_EQ(options_.port, 3);
}

TEST_F(FlagsTest, IgnoresWhatKubernetesSaysOfAServiceCalledVallm) {
  for (const char* value : {"tcp://10.0.0.1:8000", "udp://10.0.0.1:53"}) {
    setenv("VALLM_MAX_PORT", value, 1);
    EXPECT_EQ(Parse({}), std::nullopt) << value;
    EXPECT_EQ(options_.port, 8000) << value;
  }
  setenv("VALLM_MAX_PORT", "http://10.0.0.1", 1);
  EXPECT_EQ(Parse({}), 2);
}

TEST_F(FlagsTest, YamlListsFillRepeatableOptionsAndDashesEqualUnderscores) {
  EXPECT_EQ(Parse({"--config", Config("api-key: [a, b]\nverbose: true\nmax-port: 7\n")}),
            std::nullopt);
  EXPECT_EQ(options_.keys, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(options_.verbose);
  EXPECT_EQ(options_.port, 7);
}

TEST_F(FlagsTest, TimeoutsAreFinite) {
  for (const char* seconds : {"0", "0.5", "31536000"}) {
    EXPECT_EQ(Parse({"--wait", seconds}), std::nullopt) << seconds;
  }
  for (const char* seconds : {"nan", "inf", "-1", "1e300", "soon", ""}) {
    EXPECT_EQ(Parse({std::string("--wait=") + seconds}), 2) << seconds;
  }
}

TEST_F(FlagsTest, RefusesUnknownKeysAndBadValues) {
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(Parse({"--config", Config("no_such_option: 1\n")}), 2);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              ::testing::HasSubstr("there is no option --no-such-option"));
  EXPECT_EQ(Parse({"--config", Config("model: [unclosed\n")}), 2);
  EXPECT_EQ(Parse({"--max-port", "70000"}), 2);
  EXPECT_EQ(Parse({"--no-such-flag"}), 2);
}

TEST_F(FlagsTest, HelpAndVersionEndWithSuccess) {
  EXPECT_EQ(Parse({"--help"}), 0);
  EXPECT_EQ(Parse({"--version"}), 0);
}

}  // namespace
}  // namespace vallm
