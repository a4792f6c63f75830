#include "tools/command.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vallm::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Outcome {
  int exit_code;
  std::string out;
  std::string err;
};

Outcome RunVallm(std::vector<std::string> arguments) {
  static constexpr Command kCommands[] = {
      {"serve", "serve a model", [](int argc, char**) { return 10 + argc; }},
      {"chat", "talk", [](int, char**) { return 0; }},
  };
  arguments.insert(arguments.begin(), "vallm");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  const int exit_code =
      Dispatch("vallm", "What it is.", kCommands, static_cast<int>(argv.size()), argv.data());
  const std::string out = ::testing::internal::GetCapturedStdout();
  return {exit_code, out, ::testing::internal::GetCapturedStderr()};
}

TEST(Dispatch, RunsTheCommandOnItsSlice) { EXPECT_EQ(RunVallm({"serve", "a", "b"}).exit_code, 13); }

TEST(Dispatch, ListsTheCommands) {
  const Outcome help = RunVallm({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(help.out, HasSubstr("serve               serve a model"));
  const Outcome none = RunVallm({});
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_EQ(none.err, help.out);
}

TEST(Dispatch, PrintsTheVersion) {
  const Outcome version = RunVallm({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_THAT(version.out, ::testing::MatchesRegex("vallm [0-9.]+\n"));
}

TEST(Dispatch, SuggestsACommandForATypingError) {
  const Outcome typo = RunVallm({"sevre"});
  EXPECT_EQ(typo.exit_code, 2);
  EXPECT_THAT(typo.err, HasSubstr("unknown command 'sevre'; did you mean 'serve'?"));
  EXPECT_THAT(RunVallm({"nonsense"}).err, Not(HasSubstr("did you mean")));
}

}  // namespace
}  // namespace vallm::tools
