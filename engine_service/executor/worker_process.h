// A child process that cannot outlive its parent unnoticed: started with one inherited descriptor,
// watched through a pidfd, killed and reaped by its owner.
//
// The child itself asks to be killed when the *thread* that started it ends (BindToParent), so
// start children from a thread that lives as long as they should. Not thread-safe.
#ifndef VALLM_ENGINE_SERVICE_EXECUTOR_WORKER_PROCESS_H_
#define VALLM_ENGINE_SERVICE_EXECUTOR_WORKER_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace vallm::engine {

// The number of the inherited descriptor in the child.
inline constexpr int kInheritedFd = 3;

class WorkerProcess {
 public:
  // Runs `binary` with `args` (the program name not included). The child has stdin from /dev/null,
  // our stdout and stderr, `inherited_fd` as kInheritedFd, no other descriptor, no blocked signal.
  // Errors: NOT_FOUND (no such binary), RESOURCE_EXHAUSTED (no process to be had).
  static absl::StatusOr<std::unique_ptr<WorkerProcess>> Start(const std::string& binary,
                                                              const std::vector<std::string>& args,
                                                              int inherited_fd);
  // Kills the child if it still runs, and reaps it.
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  pid_t pid() const { return pid_; }
  // Readable (poll) from the child's death on. Valid as long as the object.
  int pidfd() const { return pidfd_; }

  // How the child ended, e.g. "was killed by signal 9 (Killed)"; empty while it runs.
  std::string HowItEnded() const;
  // False when the child still runs after `timeout`.
  bool WaitForExit(absl::Duration timeout) const;

 private:
  WorkerProcess(pid_t pid, int pidfd) : pid_(pid), pidfd_(pidfd) {}

  const pid_t pid_;
  const int pidfd_;
};

// In the child, first thing in main: arranges that SIGKILL comes when the thread that started us
// ends. Errors: ABORTED when the parent, `parent_pid`, is gone already: exit.
absl::Status BindToParent(pid_t parent_pid);

// In the child: ignores SIGINT, SIGTERM and SIGHUP, which a terminal or a service manager sends to
// whole process groups and which mean the parent. Call after InitLogging, whose library takes
// SIGTERM for itself.
void IgnoreTerminationSignals();

// `name` in the directory of the running executable. Errors: NOT_FOUND.
absl::StatusOr<std::string> FindSiblingBinary(const std::string& name);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_EXECUTOR_WORKER_PROCESS_H_
