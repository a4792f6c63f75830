// One child process: started so that it cannot outlive its parent, watched through a pidfd.
//
// A child leads a process group of its own (a Ctrl-C in the terminal reaches the parent only), is
// killed by the kernel when the parent dies, starts with default signal handling and an empty
// signal mask, reads /dev/null and writes stdout and stderr to a file, or to a descriptor that its
// spec names. It inherits no other.
#ifndef VALLM_TOOLS_SERVE_CHILD_PROCESS_H_
#define VALLM_TOOLS_SERVE_CHILD_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace vallm::tools {

struct ChildSpec {
  std::string name;                      // "engine-0": for messages
  std::vector<std::string> argv;         // argv[0] is the path of the executable
  std::vector<std::string> environment;  // "NAME=value": all of it, nothing is inherited
  std::string output_path;               // appended to
  int output_fd = -1;  // >= 0: written to instead of output_path; stays the caller's
};

// How a process ended.
struct ChildExit {
  bool signaled = false;
  int code = 0;  // exit status, or the signal's number

  bool clean() const { return !signaled && code == 0; }
  // "exited with status 1" or "was killed by signal 9 (Killed)".
  std::string ToString() const;
};

class ChildProcess {
 public:
  // Starts `spec`. The child is killed when the calling thread ends: call from the main thread.
  // Errors: FAILED_PRECONDITION when the output file cannot be opened or the program cannot be
  // executed; RESOURCE_EXHAUSTED when there can be no further process or descriptor.
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Spawn(const ChildSpec& spec);

  // Kills the group and reaps, unless Reap() was called.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  // Readable (poll) once the process has ended.
  int pidfd() const { return pidfd_; }

  // Sends a signal to the process itself. No effect once it has ended.
  void Signal(int signal_number);
  // SIGKILL to the process and everything it started that stayed in its group.
  void KillGroup();
  // Waits for the end, kills what is left of the group, and returns how the process ended. Call
  // once.
  ChildExit Reap();

 private:
  ChildProcess(pid_t pid, int pidfd) : pid_(pid), pidfd_(pidfd) {}

  const pid_t pid_;
  int pidfd_;  // -1 after Reap
};

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_SERVE_CHILD_PROCESS_H_
