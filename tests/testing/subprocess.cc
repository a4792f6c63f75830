#include "tests/testing/subprocess.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "absl/time/clock.h"

namespace vallm::testing {
namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string MakeTempDir() {
  const char* base = std::getenv("TMPDIR");
  std::string path = std::string(base != nullptr ? base : "/tmp") + "/vallm_test_XXXXXX";
  if (mkdtemp(path.data()) == nullptr) {
    std::perror("mkdtemp");
    std::abort();
  }
  return path;
}

[[noreturn]] void Exec(const std::string& dir, char* const* argv,
                       const std::vector<std::string>& environment) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  dup2(open((dir + "/in").c_str(), O_RDONLY), STDIN_FILENO);
  dup2(open((dir + "/out").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600), STDOUT_FILENO);
  dup2(open((dir + "/err").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600), STDERR_FILENO);
  for (const std::string& variable : environment) putenv(const_cast<char*>(variable.c_str()));
  execv(argv[0], argv);
  std::perror(argv[0]);
  _exit(127);
}

// The second field of /proc/PID/stat is the program's name in parentheses; returns what follows.
std::string StatAfterName(pid_t pid) {
  const std::string stat = ReadFile("/proc/" + std::to_string(pid) + "/stat");
  const size_t end = stat.rfind(") ");
  return end == std::string::npos ? "" : stat.substr(end + 2);
}

}  // namespace

Subprocess::Subprocess(const std::vector<std::string>& argv, const std::string& input,
                       const std::vector<std::string>& environment)
    : dir_(MakeTempDir()) {
  std::ofstream(dir_ + "/in", std::ios::binary) << input;
  std::vector<char*> pointers;
  for (const std::string& argument : argv) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  pid_ = fork();
  if (pid_ == 0) Exec(dir_, pointers.data(), environment);
  if (pid_ < 0) {
    std::perror("fork");
    std::abort();
  }
  running_ = true;
}

Subprocess::~Subprocess() {
  if (running_) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  std::filesystem::remove_all(dir_);
}

void Subprocess::Signal(int signal_number) {
  if (running_) kill(pid_, signal_number);
}

bool Subprocess::Wait(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (running_) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      running_ = false;
      exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    } else if (absl::Now() >= deadline) {
      return false;
    } else {
      absl::SleepFor(absl::Milliseconds(2));
    }
  }
  return true;
}

std::string Subprocess::Output() const { return ReadFile(dir_ + "/out"); }
std::string Subprocess::ErrorOutput() const { return ReadFile(dir_ + "/err"); }

bool ProcessExists(pid_t pid) {
  const std::string stat = StatAfterName(pid);
  return !stat.empty() && stat[0] != 'Z';
}

std::vector<pid_t> DescendantsOf(pid_t pid) {
  std::multimap<pid_t, pid_t> children;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const pid_t child = std::stoi(name);
    std::istringstream stat(StatAfterName(child));
    std::string state;
    pid_t parent = 0;
    if (stat >> state >> parent && state != "Z") children.emplace(parent, child);
  }
  std::vector<pid_t> found;
  std::vector<pid_t> pending = {pid};
  while (!pending.empty()) {
    const auto [begin, end] = children.equal_range(pending.back());
    pending.pop_back();
    for (auto it = begin; it != end; ++it) {
      found.push_back(it->second);
      pending.push_back(it->second);
    }
  }
  return found;
}

std::string ProgramOf(pid_t pid) {
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/exe", error);
  return error ? "" : path.filename().string();
}

}  // namespace vallm::testing
