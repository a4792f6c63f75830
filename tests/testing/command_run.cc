#include "tests/testing/command_run.h"

#include <pty.h>
#include <unistd.h>

#include <cstdio>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"

namespace vallm::testing {
namespace {

int Call(CommandMain command, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "command");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  return command(static_cast<int>(arguments.size()), argv.data());
}

// stderr is a terminal while this lives.
class Terminal {
 public:
  Terminal() : saved_(dup(STDERR_FILENO)) {
    int side = -1;
    EXPECT_EQ(openpty(&main_, &side, nullptr, nullptr, nullptr), 0);
    std::fflush(stderr);
    dup2(side, STDERR_FILENO);
    close(side);
    reader_ = std::thread([this] {
      char bytes[4096];
      // Fails once the other side is closed.
      for (ssize_t n = 0; (n = read(main_, bytes, sizeof bytes)) > 0;) {
        shown_.append(bytes, static_cast<size_t>(n));
      }
    });
  }

  // Ends it.
  std::string Shown() {
    std::fflush(stderr);
    dup2(saved_, STDERR_FILENO);
    close(saved_);
    reader_.join();
    close(main_);
    return std::move(shown_);
  }

 private:
  const int saved_;
  int main_ = -1;
  std::thread reader_;
  std::string shown_;
};

}  // namespace

CommandRun RunCommand(CommandMain command, const std::vector<std::string>& arguments) {
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  CommandRun run;
  run.exit_code = Call(command, arguments);
  run.output = ::testing::internal::GetCapturedStdout();
  run.errors = ::testing::internal::GetCapturedStderr();
  return run;
}

CommandRun RunCommandOnTerminal(CommandMain command, const std::vector<std::string>& arguments) {
  ::testing::internal::CaptureStdout();
  Terminal terminal;
  CommandRun run;
  run.exit_code = Call(command, arguments);
  run.errors = terminal.Shown();
  run.output = ::testing::internal::GetCapturedStdout();
  return run;
}

std::set<std::string> FlagsOf(CommandMain command) {
  std::set<std::string> flags;
  const std::string help = RunCommand(command, {"--help"}).output;
  for (const absl::string_view line : absl::StrSplit(help, '\n')) {
    // "  -h,--help        Print this help", not the lines of text or of examples.
    if (!absl::StartsWith(line, "  -")) continue;
    const absl::string_view names = *absl::StrSplit(absl::StripAsciiWhitespace(line), ' ').begin();
    for (const absl::string_view name : absl::StrSplit(names, ',')) {
      if (absl::StartsWith(name, "--")) flags.emplace(name);
    }
  }
  for (const char* common : {"--help", "--version", "--config"}) flags.erase(common);
  return flags;
}

std::set<std::string> FlagsIn(const std::vector<std::string>& arguments) {
  std::set<std::string> flags;
  for (const std::string& argument : arguments) {
    if (absl::StartsWith(argument, "--")) flags.insert(argument.substr(0, argument.find('=')));
  }
  return flags;
}

}  // namespace vallm::testing
