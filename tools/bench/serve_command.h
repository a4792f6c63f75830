// `vallm bench serve`: one workload on a running server.
#ifndef VALLM_TOOLS_BENCH_SERVE_COMMAND_H_
#define VALLM_TOOLS_BENCH_SERVE_COMMAND_H_

namespace vallm::tools {

// Returns the exit code (tools/command.h): 1 when no request succeeded, 130 after Ctrl-C.
int RunBenchServe(int argc, char** argv);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_BENCH_SERVE_COMMAND_H_
