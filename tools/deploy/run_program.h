// Other programs (docker, kubectl), run to their end.
#ifndef VALLM_TOOLS_DEPLOY_RUN_PROGRAM_H_
#define VALLM_TOOLS_DEPLOY_RUN_PROGRAM_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace vallm::tools {

struct ProgramResult {
  int exit_code = 0;   // 128 + the number of the signal that killed it
  std::string output;  // stdout and stderr; empty where it was shown
};

// Runs argv[0], found in PATH, and waits. `show`: its output goes where this process's goes.
// Errors: NOT_FOUND when there is no such program.
absl::StatusOr<ProgramResult> RunProgram(const std::vector<std::string>& argv, bool show);

// Whether it can be run and ends with exit code 0.
bool Works(const std::vector<std::string>& argv);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DEPLOY_RUN_PROGRAM_H_
