#include "tools/deploy/run_program.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace vallm::tools {

absl::StatusOr<ProgramResult> RunProgram(const std::vector<std::string>& argv, bool show) {
  std::vector<char*> pointers;
  for (const std::string& argument : argv) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  int fds[2] = {-1, -1};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (!show) {
    if (pipe2(fds, O_CLOEXEC) != 0) return absl::ResourceExhaustedError("cannot make a pipe");
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDERR_FILENO);
  }
  // A Ctrl-C is for it as well: this process has its termination signals blocked.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t pid = 0;
  const int error =
      posix_spawnp(&pid, pointers[0], &actions, &attributes, pointers.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (fds[1] >= 0) close(fds[1]);
  if (error != 0) {
    if (fds[0] >= 0) close(fds[0]);
    return absl::NotFoundError(absl::StrCat("cannot run ", argv[0], ": ", strerror(error)));
  }
  ProgramResult result;
  if (fds[0] >= 0) {
    std::array<char, 4096> buffer;
    ssize_t n;
    while ((n = read(fds[0], buffer.data(), buffer.size())) > 0 || (n < 0 && errno == EINTR)) {
      if (n > 0) result.output.append(buffer.data(), static_cast<size_t>(n));
    }
    close(fds[0]);
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

bool Works(const std::vector<std::string>& argv) {
  const auto result = RunProgram(argv, /*show=*/false);
  return result.ok() && result->exit_code == 0;
}

}  // namespace vallm::tools
