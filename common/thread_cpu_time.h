// The processor time of the calling thread: what a piece of work took, whoever else wanted the core
// meanwhile.
#ifndef VALLM_COMMON_THREAD_CPU_TIME_H_
#define VALLM_COMMON_THREAD_CPU_TIME_H_

#include "absl/time/time.h"

namespace vallm {

// Since the thread began. Costs a system call.
absl::Duration ThreadCpuTime();

}  // namespace vallm

#endif  // VALLM_COMMON_THREAD_CPU_TIME_H_
