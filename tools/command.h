// What every command of the `vallm` binary looks like to main.cc: a name, a line of help and a
// function that is a main of its own (it parses its slice of the command line with its own
// FlagParser).
#ifndef VALLM_TOOLS_COMMAND_H_
#define VALLM_TOOLS_COMMAND_H_

#include <span>

namespace vallm::tools {

struct Command {
  const char* name;
  const char* summary;  // one line for the list of commands
  // argv[0] is the command's name. Returns the exit code: 0, 1 when the work failed, 2 after a
  // usage error.
  int (*run)(int argc, char** argv);
};

// Finds argv[1] among `commands` and runs it. Without one, with --help, --version or an unknown
// name it prints what there is; `program` is how the user wrote what came before, e.g. "vallm
// tokenizer". Returns the exit code.
int Dispatch(const char* program, const char* description, std::span<const Command> commands,
             int argc, char** argv);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_COMMAND_H_
