// `vallm bench sweep`: the vendor's matrix of workloads on a running server.
#ifndef VALLM_TOOLS_BENCH_SWEEP_COMMAND_H_
#define VALLM_TOOLS_BENCH_SWEEP_COMMAND_H_

namespace vallm::tools {

// Returns the exit code (tools/command.h): 1 when a cell failed, 130 after Ctrl-C.
int RunBenchSweep(int argc, char** argv);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_BENCH_SWEEP_COMMAND_H_
