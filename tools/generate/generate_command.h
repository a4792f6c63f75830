// `vallm generate MODEL_DIR`: the engine without a server, on JSON Lines.
#ifndef VALLM_TOOLS_GENERATE_GENERATE_COMMAND_H_
#define VALLM_TOOLS_GENERATE_GENERATE_COMMAND_H_

namespace vallm::tools {

// Returns the exit code (tools/command.h); rows that fail are answered by an
// error row and do not change it.
int RunGenerate(int argc, char** argv);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_GENERATE_GENERATE_COMMAND_H_
