// `vallm bench compare`: the differences of two results, or of two folders of them.
#ifndef VALLM_TOOLS_BENCH_COMPARE_COMMAND_H_
#define VALLM_TOOLS_BENCH_COMPARE_COMMAND_H_

namespace vallm::tools {

// Returns the exit code (tools/command.h): 3 when --fail-if-worse found something.
int RunBenchCompare(int argc, char** argv);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_BENCH_COMPARE_COMMAND_H_
