// Runs the project's binaries in tests. stdin is a text, stdout and stderr are kept in files, so
// that nothing can block on a full pipe. A process dies with the test that started it.
#ifndef VALLM_TESTS_TESTING_SUBPROCESS_H_
#define VALLM_TESTS_TESTING_SUBPROCESS_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/time/time.h"

namespace vallm::testing {

class Subprocess {
 public:
  // Starts argv[0] with the environment of the test and `environment` ("NAME=value") added. Aborts
  // the test program when it cannot be started: nothing can be tested then.
  explicit Subprocess(const std::vector<std::string>& argv, const std::string& input = "",
                      const std::vector<std::string>& environment = {});
  // Kills it, if it still runs.
  ~Subprocess();
  Subprocess(const Subprocess&) = delete;
  Subprocess& operator=(const Subprocess&) = delete;

  pid_t pid() const { return pid_; }
  void Signal(int signal_number);

  // Waits for its end. False when it runs longer than `timeout`.
  bool Wait(absl::Duration timeout);

  // After Wait: the exit status, or 128 + the number of the signal that killed it.
  int exit_code() const { return exit_code_; }
  // What it wrote so far.
  std::string Output() const;
  std::string ErrorOutput() const;

 private:
  std::string dir_;
  pid_t pid_ = -1;
  bool running_ = false;
  int exit_code_ = -1;
};

// Whether a process with this number exists and is not a zombie.
bool ProcessExists(pid_t pid);

// The living processes that `pid` started, and those that they started.
std::vector<pid_t> DescendantsOf(pid_t pid);

// "vallm-engine": the name of the program that a process runs; "" when there is no such process.
std::string ProgramOf(pid_t pid);

}  // namespace vallm::testing

#endif  // VALLM_TESTS_TESTING_SUBPROCESS_H_
