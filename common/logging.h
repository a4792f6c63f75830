// Sets up glog for a process. Call once, before threads start and before the first LOG.
#ifndef VALLM_COMMON_LOGGING_H_
#define VALLM_COMMON_LOGGING_H_

#include <string>

#include "absl/status/status.h"

namespace vallm {

// Logs to `<log_dir>/<name>.log` (appending; created, directory included, when missing) and
// warnings also to stderr; with an empty `log_dir` everything goes to stderr. A crash leaves its
// stack in the log.
// Errors: FAILED_PRECONDITION when the directory cannot be created or written.
absl::Status InitLogging(const std::string& name, const std::string& log_dir);

}  // namespace vallm

#endif  // VALLM_COMMON_LOGGING_H_
