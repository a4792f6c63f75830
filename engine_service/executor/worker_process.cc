#include "engine_service/executor/worker_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"

extern char** environ;

namespace vallm::engine {
namespace {

// By number: the <sys/pidfd.h> of glibc 2.36 has no C linkage for C++.
int PidfdOpen(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }
void PidfdKill(int pidfd) { syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0); }

// The parts of a posix_spawn call that must be destroyed.
class SpawnSettings {
 public:
  explicit SpawnSettings(int inherited_fd) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions_, inherited_fd, kInheritedFd);
    posix_spawn_file_actions_addclosefrom_np(&actions_, kInheritedFd + 1);
    posix_spawnattr_init(&attributes_);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  const posix_spawn_file_actions_t* actions() const { return &actions_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<WorkerProcess>> WorkerProcess::Start(
    const std::string& binary, const std::vector<std::string>& args, int inherited_fd) {
  std::vector<char*> argv = {const_cast<char*>(binary.c_str())};
  for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  const SpawnSettings settings(inherited_fd);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, binary.c_str(), settings.actions(), settings.attributes(),
                                argv.data(), environ);
  if (error == ENOENT || error == EACCES || error == ENOEXEC) {
    return absl::NotFoundError(absl::StrCat("cannot run ", binary, ": ", strerror(error)));
  }
  if (error != 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot start ", binary, ": ", strerror(error)));
  }
  const int pidfd = PidfdOpen(pid);
  if (pidfd < 0) {
    const int open_error = errno;
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot watch the process of ", binary, ": ", strerror(open_error)));
  }
  return std::unique_ptr<WorkerProcess>(new WorkerProcess(pid, pidfd));
}

WorkerProcess::~WorkerProcess() {
  PidfdKill(pidfd_);
  siginfo_t info{};
  while (waitid(P_PIDFD, static_cast<id_t>(pidfd_), &info, WEXITED) != 0 && errno == EINTR) {
  }
  close(pidfd_);
}

std::string WorkerProcess::HowItEnded() const {
  siginfo_t info{};
  // WNOWAIT leaves the child to be reaped by the destructor.
  if (waitid(P_PIDFD, static_cast<id_t>(pidfd_), &info, WEXITED | WNOHANG | WNOWAIT) != 0)
    return "";
  if (info.si_pid == 0) return "";
  if (info.si_code == CLD_EXITED) return absl::StrCat("exited with status ", info.si_status);
  return absl::StrCat("was killed by signal ", info.si_status, " (", strsignal(info.si_status),
                      ")");
}

bool WorkerProcess::WaitForExit(absl::Duration timeout) const {
  pollfd entry{.fd = pidfd_, .events = POLLIN, .revents = 0};
  const absl::Duration bounded = std::max(timeout, absl::ZeroDuration());
  return poll(&entry, 1, static_cast<int>(absl::ToInt64Milliseconds(bounded))) > 0;
}

absl::Status BindToParent(pid_t parent_pid) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
    return absl::InternalError(absl::StrCat("prctl(PR_SET_PDEATHSIG): ", strerror(errno)));
  }
  // The parent may have died before the call above; then we have a new one.
  if (getppid() != parent_pid) {
    return absl::AbortedError(absl::StrCat("the parent, process ", parent_pid, ", is gone"));
  }
  return absl::OkStatus();
}

void IgnoreTerminationSignals() {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) signal(number, SIG_IGN);
}

absl::StatusOr<std::string> FindSiblingBinary(const std::string& name) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return absl::NotFoundError("cannot read /proc/self/exe");
  const std::filesystem::path binary = self.parent_path() / name;
  if (!std::filesystem::exists(binary, error)) {
    return absl::NotFoundError(absl::StrCat(name, " is not beside ", self.string()));
  }
  return binary.string();
}

}  // namespace vallm::engine
