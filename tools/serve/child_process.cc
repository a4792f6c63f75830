#include "tools/serve/child_process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace vallm::tools {
namespace {

// glibc 2.36 declares its wrappers of these without extern "C".
int PidfdOpen(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

void PidfdSendSignal(int pidfd, int signal_number) {
  syscall(SYS_pidfd_send_signal, pidfd, signal_number, nullptr, 0);
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (const std::string& s : strings) pointers.push_back(const_cast<char*>(s.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// The child's side of fork: only async-signal-safe calls, because other threads may hold locks.
[[noreturn]] void ExecChild(pid_t parent, int output_fd, int error_fd, char* const* argv,
                            char* const* environment) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);  // the parent died before prctl
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null_fd = open("/dev/null", O_RDONLY);
  if (null_fd >= 0) dup2(null_fd, STDIN_FILENO);
  dup2(output_fd, STDOUT_FILENO);
  dup2(output_fd, STDERR_FILENO);
  close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  execve(argv[0], argv, environment);
  const int error = errno;
  [[maybe_unused]] const ssize_t written = write(error_fd, &error, sizeof(error));
  _exit(127);
}

// Returns the errno of a failed exec, or 0 when the pipe closed because exec succeeded.
int ReadExecError(int fd) {
  int error = 0;
  ssize_t n;
  do {
    n = read(fd, &error, sizeof(error));
  } while (n < 0 && errno == EINTR);
  return n == sizeof(error) ? error : 0;
}

}  // namespace

std::string ChildExit::ToString() const {
  if (signaled) return absl::StrCat("was killed by signal ", code, " (", strsignal(code), ")");
  return absl::StrCat("exited with status ", code);
}

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Spawn(const ChildSpec& spec) {
  const int output_fd = spec.output_fd >= 0 ? fcntl(spec.output_fd, F_DUPFD_CLOEXEC, 3)
                                            : open(spec.output_path.c_str(),
                                                   O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (output_fd < 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot open ", spec.output_path, ": ", strerror(errno)));
  }
  int error_pipe[2];
  if (pipe2(error_pipe, O_CLOEXEC) != 0) {
    close(output_fd);
    return absl::ResourceExhaustedError(absl::StrCat("cannot make a pipe: ", strerror(errno)));
  }
  const std::vector<char*> argv = Pointers(spec.argv);
  const std::vector<char*> environment = Pointers(spec.environment);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) ExecChild(parent, output_fd, error_pipe[1], argv.data(), environment.data());
  const int fork_error = errno;
  close(output_fd);
  close(error_pipe[1]);
  if (pid < 0) {
    close(error_pipe[0]);
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot start ", spec.name, ": ", strerror(fork_error)));
  }
  setpgid(pid, pid);  // also here: KillGroup may come before the child has done it
  const int pidfd = PidfdOpen(pid);
  const int pidfd_error = errno;
  const int exec_error = ReadExecError(error_pipe[0]);
  close(error_pipe[0]);
  if (pidfd < 0 || exec_error != 0) {
    if (pidfd >= 0) close(pidfd);
    kill(-pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    if (exec_error == 0) {
      return absl::ResourceExhaustedError(
          absl::StrCat("pidfd_open for ", spec.name, ": ", strerror(pidfd_error)));
    }
    return absl::FailedPreconditionError(
        absl::StrCat("cannot execute ", spec.argv.front(), ": ", strerror(exec_error)));
  }
  return std::unique_ptr<ChildProcess>(new ChildProcess(pid, pidfd));
}

ChildProcess::~ChildProcess() {
  if (pidfd_ < 0) return;
  KillGroup();
  Reap();
}

void ChildProcess::Signal(int signal_number) {
  if (pidfd_ >= 0) PidfdSendSignal(pidfd_, signal_number);
}

void ChildProcess::KillGroup() {
  // Until the leader is reaped its number, and so the group's, cannot be given to others.
  if (pidfd_ >= 0) kill(-pid_, SIGKILL);
}

ChildExit ChildProcess::Reap() {
  siginfo_t info = {};
  while (waitid(P_PIDFD, static_cast<id_t>(pidfd_), &info, WEXITED | WNOWAIT) != 0 &&
         errno == EINTR) {
  }
  KillGroup();
  while (waitid(P_PIDFD, static_cast<id_t>(pidfd_), &info, WEXITED) != 0 && errno == EINTR) {
  }
  close(pidfd_);
  pidfd_ = -1;
  return {.signaled = info.si_code != CLD_EXITED, .code = info.si_status};
}

}  // namespace vallm::tools
