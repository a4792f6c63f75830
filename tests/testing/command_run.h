// Runs a command of the `vallm` binary in the test's own process, by its main function.
#ifndef VALLM_TESTS_TESTING_COMMAND_RUN_H_
#define VALLM_TESTS_TESTING_COMMAND_RUN_H_

#include <set>
#include <string>
#include <vector>

namespace vallm::testing {

using CommandMain = int (*)(int argc, char** argv);

struct CommandRun {
  int exit_code = 0;
  std::string output;
  std::string errors;
};

// `arguments` without the command's name.
CommandRun RunCommand(CommandMain command, const std::vector<std::string>& arguments);

// The same with a terminal for stderr: `errors` is what it shows.
CommandRun RunCommandOnTerminal(CommandMain command, const std::vector<std::string>& arguments);

// The flags that --help lists, every spelling ("--host"), but those of all commands (--help,
// --version, --config). A test that knows what each does compares its list with this one, so that
// no flag comes without.
std::set<std::string> FlagsOf(CommandMain command);

// The flags among `arguments`, without their values.
std::set<std::string> FlagsIn(const std::vector<std::string>& arguments);

}  // namespace vallm::testing

#endif  // VALLM_TESTS_TESTING_COMMAND_RUN_H_
