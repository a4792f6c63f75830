// Runs Python programs that a model wrote: a child process per run, confined (confinement.h), with
// limits of time, memory, threads and output, no environment, no network, no files but Python's
// own. Thread-safe.
#ifndef VALLM_TOOLS_EVAL_CODE_PYTHON_SANDBOX_H_
#define VALLM_TOOLS_EVAL_CODE_PYTHON_SANDBOX_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tools/eval/code/confinement.h"

namespace vallm::eval {

struct RunLimits {
  absl::Duration time = absl::Seconds(6);   // of the clock; processor time is held to it too
  int64_t memory_bytes = int64_t{4} << 30;  // address space
  size_t output_bytes = size_t{64} << 20;   // of standard output
  int threads = 64;
};

struct RunResult {
  enum End { kExited, kTimedOut, kTooMuchOutput, kTooManyThreads, kSignalled };
  End end = kExited;
  int code = 0;  // exit status, or number of the signal
  std::string output;
  std::string error_output;  // its last 4 KiB
};

class PythonSandbox {
 public:
  struct Options {
    std::string python = "python3";    // a path, or a name that is looked for in $PATH
    bool allow_reading_files = false;  // go on where the kernel has no Landlock
  };

  // Errors: FAILED_PRECONDITION when there is no Python 3, or the kernel cannot confine it.
  static absl::StatusOr<PythonSandbox> Create(const Options& options);
  static absl::StatusOr<PythonSandbox> Create() { return Create({}); }

  // Runs `script` as __main__ with `input` on its standard input.
  // Errors: INTERNAL when no process could be started.
  absl::StatusOr<RunResult> Run(const std::string& script, const std::string& input,
                                const RunLimits& limits) const;

  const std::string& python() const { return python_; }    // the program that is run
  const std::string& version() const { return version_; }  // "3.11.2"

 private:
  PythonSandbox(std::string python, std::string version, Confinement confinement)
      : python_(std::move(python)),
        version_(std::move(version)),
        confinement_(std::make_shared<Confinement>(std::move(confinement))) {}

  std::string python_;
  std::string version_;
  std::shared_ptr<const Confinement> confinement_;
};

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_CODE_PYTHON_SANDBOX_H_
