// Ctrl-C for commands that measure: the first one breaks the run off in order, a second one ends
// the process.
#ifndef VALLM_TOOLS_BENCH_INTERRUPT_H_
#define VALLM_TOOLS_BENCH_INTERRUPT_H_

#include <atomic>

namespace vallm::tools {

// Installs the handlers of SIGINT and SIGTERM and returns what they set.
const std::atomic<bool>& CatchInterrupts();

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_BENCH_INTERRUPT_H_
