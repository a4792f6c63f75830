// `vallm bench`: measures a server that speaks OpenAI's API.
#ifndef VALLM_TOOLS_BENCH_BENCH_COMMAND_H_
#define VALLM_TOOLS_BENCH_BENCH_COMMAND_H_

namespace vallm::tools {

// Returns the exit code (tools/command.h).
int RunBenchCommand(int argc, char** argv);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_BENCH_BENCH_COMMAND_H_
