// SIGINT and SIGTERM as something a main thread waits for, rather than handlers.
#ifndef VALLM_COMMON_SIGNALS_H_
#define VALLM_COMMON_SIGNALS_H_

#include <optional>

#include "absl/time/time.h"

namespace vallm {

// Blocks SIGINT and SIGTERM in the calling thread and in all threads it starts later, and ignores
// SIGPIPE. Call first thing in main. A child made by fork inherits the mask: call
// UnblockTerminationSignals() in it before exec.
void BlockTerminationSignals();
void UnblockTerminationSignals();

// Waits for SIGINT or SIGTERM and returns its number.
int WaitForTermination();

// The same with a time limit; nullopt when it passes first.
std::optional<int> WaitForTermination(absl::Duration timeout);

}  // namespace vallm

#endif  // VALLM_COMMON_SIGNALS_H_
