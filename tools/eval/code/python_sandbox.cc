#include "tools/eval/code/python_sandbox.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"

namespace vallm::eval {
namespace {

constexpr size_t kErrorBytes = 4096;
constexpr int kScriptFd = 3;  // in the child
constexpr int kSetupFailed = 113;
const absl::Duration kThreadsLooked = absl::Milliseconds(50);

// Reads the program from the descriptor that the parent left open; it is too long for an argument.
constexpr char kStart[] =
    "import os\n"
    "with os.fdopen(3, encoding='utf-8') as f: s = f.read()\n"
    "exec(compile(s, 'solution.py', 'exec'), {'__name__': '__main__'})";

class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  ~Fd() { Close(); }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    Close();
    fd_ = std::exchange(other.fd_, -1);
    return *this;
  }
  int get() const { return fd_; }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

struct Pipe {
  Fd read, write;
  bool Open() {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) return false;
    read = Fd(fds[0]);
    write = Fd(fds[1]);
    return true;
  }
};

void SetLimit(int what, uint64_t value) {
  const rlimit limit = {.rlim_cur = value, .rlim_max = value};
  setrlimit(static_cast<__rlimit_resource>(what), &limit);
}

// The child between fork and exec: nothing that allocates or locks.
[[noreturn]] void BecomePython(pid_t parent, const char* python, const RunLimits& limits, int in,
                               int out, int error, int script, const Confinement* confinement,
                               char* const argv[], char* const environment[]) {
  setsid();  // Ctrl-C is for the parent to act on, and its terminal is out of reach
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (getppid() != parent) _exit(kSetupFailed);  // it died before that
  // First out of the way of 0 to 3, then to their places.
  const int high[] = {fcntl(in, F_DUPFD, 10), fcntl(out, F_DUPFD, 10), fcntl(error, F_DUPFD, 10),
                      fcntl(script, F_DUPFD, 10)};
  for (int i = 0; i < 4; ++i) {
    if (high[i] < 0 || dup2(high[i], i) < 0) _exit(kSetupFailed);
  }
  if (chdir("/") != 0) _exit(kSetupFailed);
  const auto seconds =
      static_cast<uint64_t>(absl::ToInt64Seconds(absl::Ceil(limits.time, absl::Seconds(1))));
  SetLimit(RLIMIT_CPU, seconds + 1);
  SetLimit(RLIMIT_AS, static_cast<uint64_t>(limits.memory_bytes));
  SetLimit(RLIMIT_FSIZE, 0);
  SetLimit(RLIMIT_CORE, 0);
  SetLimit(RLIMIT_NOFILE, 64);
  if (confinement != nullptr && !confinement->Enter()) _exit(kSetupFailed);
  if (syscall(SYS_close_range, 4, ~0U, 0) != 0) {
    for (int fd = 4; fd < 4096; ++fd) close(fd);
  }
  execve(python, argv, environment);
  _exit(kSetupFailed);
}

// Threads of a process; 0 when it is gone.
int ThreadsOf(pid_t pid) {
  std::ifstream stat(absl::StrCat("/proc/", pid, "/stat"));
  std::string text;
  if (!std::getline(stat, text) || text.rfind(')') == std::string::npos) return 0;
  const std::vector<absl::string_view> fields =
      absl::StrSplit(absl::string_view(text).substr(text.rfind(')') + 2), ' ');
  int threads = 0;
  return fields.size() > 17 && absl::SimpleAtoi(fields[17], &threads) ? threads : 0;
}

// Feeds a child and collects what it writes until both its outputs are closed, or a limit is met.
class Conversation {
 public:
  Conversation(pid_t pid, Fd in, Fd out, Fd error, const std::string& input,
               const RunLimits& limits)
      : pid_(pid),
        in_(std::move(in)),
        out_(std::move(out)),
        error_(std::move(error)),
        input_(input),
        limits_(limits) {
    fcntl(in_.get(), F_SETFL, O_NONBLOCK);
  }

  // Returns how it ended as far as that is known without waiting for the child.
  RunResult::End Run(RunResult* result) {
    const absl::Time deadline = absl::Now() + limits_.time;
    if (input_.empty()) in_.Close();
    while (out_.get() >= 0 || error_.get() >= 0) {
      const absl::Duration left = deadline - absl::Now();
      if (left <= absl::ZeroDuration()) return RunResult::kTimedOut;
      if (TooManyThreads()) return RunResult::kTooManyThreads;
      std::array<pollfd, 3> polled = {pollfd{in_.get(), POLLOUT, 0}, pollfd{out_.get(), POLLIN, 0},
                                      pollfd{error_.get(), POLLIN, 0}};
      const auto wait =
          static_cast<int>(absl::ToInt64Milliseconds(std::min(left, kThreadsLooked))) + 1;
      if (poll(polled.data(), polled.size(), wait) < 0 && errno != EINTR) break;
      if (polled[0].revents != 0) Feed();
      if (polled[1].revents != 0) Take(&out_, &result->output);
      if (polled[2].revents != 0) Take(&error_, &result->error_output);
      if (result->error_output.size() > 2 * kErrorBytes) {
        result->error_output.erase(0, result->error_output.size() - kErrorBytes);
      }
      if (result->output.size() > limits_.output_bytes) return RunResult::kTooMuchOutput;
    }
    return RunResult::kExited;
  }

 private:
  // RLIMIT_NPROC counts all processes of a user, and none of root's: so somebody has to look.
  bool TooManyThreads() {
    const absl::Time now = absl::Now();
    if (now < look_) return false;
    look_ = now + kThreadsLooked;
    return ThreadsOf(pid_) > limits_.threads;
  }

  void Feed() {
    const ssize_t wrote = write(in_.get(), input_.data() + fed_, input_.size() - fed_);
    if (wrote < 0 && (errno == EAGAIN || errno == EINTR)) return;
    fed_ += wrote > 0 ? static_cast<size_t>(wrote) : 0;
    if (wrote <= 0 || fed_ == input_.size()) in_.Close();
  }

  static void Take(Fd* from, std::string* into) {
    char buffer[64 << 10];
    const ssize_t got = read(from->get(), buffer, sizeof(buffer));
    if (got > 0) into->append(buffer, static_cast<size_t>(got));
    if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN)) from->Close();
  }

  const pid_t pid_;
  Fd in_, out_, error_;
  absl::Time look_ = absl::Now();
  const std::string& input_;
  const RunLimits& limits_;
  size_t fed_ = 0;
};

absl::Duration ProcessorTime(const rusage& usage) {
  return absl::DurationFromTimeval(usage.ru_utime) + absl::DurationFromTimeval(usage.ru_stime);
}

// Waits for the child until `deadline`; false when it still runs.
bool WaitUntil(pid_t pid, absl::Time deadline, int* status, rusage* usage) {
  while (wait4(pid, status, WNOHANG, usage) == 0) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(1));
  }
  return true;
}

absl::StatusOr<RunResult> RunPython(const std::string& python, const std::string& start,
                                    const std::string& script, const std::string& input,
                                    const RunLimits& limits, const Confinement* confinement) {
  Pipe in, out, error;
  Fd code(memfd_create("solution", MFD_CLOEXEC));
  if (!in.Open() || !out.Open() || !error.Open() || code.get() < 0 ||
      write(code.get(), script.data(), script.size()) != static_cast<ssize_t>(script.size()) ||
      lseek(code.get(), 0, SEEK_SET) != 0) {
    return absl::InternalError(absl::StrCat("no pipes for a child process: ", strerror(errno)));
  }
  std::vector<std::string> arguments = {python, "-I", "-B", "-c", start};
  std::vector<std::string> variables = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "PYTHONHASHSEED=0",
                                        "OMP_NUM_THREADS=1", "HOME=/nonexistent"};
  std::vector<char*> argv, environment;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  for (std::string& variable : variables) environment.push_back(variable.data());
  argv.push_back(nullptr);
  environment.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return absl::InternalError(absl::StrCat("fork: ", strerror(errno)));
  if (pid == 0) {
    BecomePython(parent, python.c_str(), limits, in.read.get(), out.write.get(), error.write.get(),
                 code.get(), confinement, argv.data(), environment.data());
  }
  in.read.Close();
  out.write.Close();
  error.write.Close();
  RunResult result;
  const absl::Time begin = absl::Now();
  result.end = Conversation(pid, std::move(in.write), std::move(out.read), std::move(error.read),
                            input, limits)
                   .Run(&result);
  int status = 0;
  rusage usage = {};
  const bool ended =
      result.end == RunResult::kExited && WaitUntil(pid, begin + limits.time, &status, &usage);
  if (!ended) {
    kill(pid, SIGKILL);  // it can have no children
    waitpid(pid, &status, 0);
    if (result.end == RunResult::kExited) result.end = RunResult::kTimedOut;
  } else if (WIFSIGNALED(status)) {
    result.code = WTERMSIG(status);
    // SIGXCPU can be ignored; what comes then is SIGKILL.
    const bool out_of_time =
        result.code == SIGXCPU || (result.code == SIGKILL && ProcessorTime(usage) >= limits.time);
    result.end = out_of_time ? RunResult::kTimedOut : RunResult::kSignalled;
  } else {
    result.code = WEXITSTATUS(status);
  }
  if (result.error_output.size() > kErrorBytes) {
    result.error_output.erase(0, result.error_output.size() - kErrorBytes);
  }
  return result;
}

absl::StatusOr<std::string> FindProgram(const std::string& name) {
  if (name.find('/') != std::string::npos) {
    if (access(name.c_str(), X_OK) == 0) return name;
  } else if (const char* path = getenv("PATH"); path != nullptr) {
    for (const auto folder : absl::StrSplit(path, ':')) {
      const std::string candidate = absl::StrCat(folder, "/", name);
      if (access(candidate.c_str(), X_OK) == 0) return candidate;
    }
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "'", name,
      "' not found: it runs the Python programs that the model writes. Install python3"));
}

}  // namespace

absl::StatusOr<PythonSandbox> PythonSandbox::Create(const Options& options) {
  VALLM_ASSIGN_OR_RETURN(const std::string found, FindProgram(options.python));
  // What was found may be a script that picks an interpreter: ask it which.
  constexpr char kAsk[] =
      "import sys, os\n"
      "print(sys.executable, sys.base_prefix, sys.prefix,\n"
      "      '.'.join(map(str, sys.version_info[:3])), sep='\\n')";
  VALLM_ASSIGN_OR_RETURN(
      const RunResult answer,
      RunPython(found, kAsk, "", "", {.time = absl::Seconds(20), .memory_bytes = int64_t{8} << 30},
                /*confinement=*/nullptr));
  const std::vector<std::string> lines = absl::StrSplit(answer.output, '\n');
  if (answer.end != RunResult::kExited || answer.code != 0 || lines.size() < 4) {
    return absl::FailedPreconditionError(
        absl::StrCat("'", found, "' is no working Python 3: ", answer.error_output));
  }
  if (lines[3].rfind("3.", 0) != 0) {
    return absl::FailedPreconditionError(absl::StrCat("'", found, "' is Python ", lines[3]));
  }
  const std::vector<std::string> readable = {lines[1],
                                             lines[2],
                                             "/usr/lib",
                                             "/usr/lib64",
                                             "/lib",
                                             "/lib64",
                                             "/usr/local/lib",
                                             "/usr/share/zoneinfo",
                                             "/etc/ld.so.cache",
                                             "/etc/localtime",
                                             "/dev/null",
                                             "/dev/urandom"};
  std::vector<std::string> executable = {lines[0], "/lib64/ld-linux-x86-64.so.2",
                                         "/lib/ld-linux-aarch64.so.1"};
  // A virtual environment's Python is a link; run by its own name it finds its packages.
  for (size_t i = 0; i < executable.size(); ++i) {
    std::error_code error;
    const auto real = std::filesystem::canonical(executable[i], error);
    if (!error) executable[i] = real.string();
  }
  auto confinement = Confinement::Create(readable, executable);
  if (!confinement.ok() && !options.allow_reading_files) {
    return absl::FailedPreconditionError(
        absl::StrCat(confinement.status().message(),
                     ". extra_params.allow_reading_files: true runs them all the same"));
  }
  PythonSandbox sandbox(
      lines[0], lines[3],
      confinement.ok() ? *std::move(confinement) : Confinement::WithoutFileRules());
  VALLM_ASSIGN_OR_RETURN(const RunResult probe,
                         sandbox.Run("print(6 * 7)", "", {.time = absl::Seconds(20)}));
  if (probe.output != "42\n") {
    return absl::FailedPreconditionError(absl::StrCat(
        "Python does not run within its sandbox (exit ", probe.code, "): ", probe.error_output));
  }
  return sandbox;
}

absl::StatusOr<RunResult> PythonSandbox::Run(const std::string& script, const std::string& input,
                                             const RunLimits& limits) const {
  return RunPython(python_, kStart, script, input, limits, confinement_.get());
}

}  // namespace vallm::eval
