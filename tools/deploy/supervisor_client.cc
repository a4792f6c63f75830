#include "tools/deploy/supervisor_client.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "common/signals.h"
#include "common/status_macros.h"
#include "tools/deploy/control_socket.h"

namespace vallm::tools {
namespace {

using nlohmann::ordered_json;

constexpr absl::Duration kTick = absl::Milliseconds(50);
constexpr absl::Duration kStartLimit = absl::Seconds(30);
constexpr off_t kMostSupervisorLog = 4 << 20;

absl::StatusOr<ordered_json> Call(const Deployment& deployment, const ordered_json& call) {
  VALLM_ASSIGN_OR_RETURN(ordered_json reply, CallSupervisor(deployment.directory(), call));
  if (reply.contains("error")) {
    return absl::FailedPreconditionError(reply["error"].get<std::string>());
  }
  return reply;
}

// The grandchild's side: leaves session and terminal, then becomes the supervisor. Only
// async-signal-safe calls.
[[noreturn]] void ExecSupervisor(int log_fd, char* const* argv) {
  setsid();
  const pid_t pid = fork();
  if (pid != 0) _exit(pid < 0 ? 1 : 0);
  const int null_fd = open("/dev/null", O_RDONLY);
  dup2(null_fd, STDIN_FILENO);
  dup2(log_fd, STDOUT_FILENO);
  dup2(log_fd, STDERR_FILENO);
  for (int fd = 3; fd < 256; ++fd) close(fd);
  if (chdir("/") != 0) _exit(127);
  UnblockTerminationSignals();
  execv("/proc/self/exe", argv);
  _exit(127);
}

// The tokenizer, the engines by number, the gateway.
int Place(const std::string& name) {
  int number = 0;
  if (name == "tokenizer") return -1;
  const bool engine = absl::SimpleAtoi(absl::StripPrefix(name, "engine-"), &number);
  return engine ? number : std::numeric_limits<int>::max();
}

int64_t SizeOf(const std::string& path) {
  struct stat info = {};
  return stat(path.c_str(), &info) == 0 ? info.st_size : 0;
}

}  // namespace

const ServiceState* SupervisorState::Find(const std::string& name) const {
  for (const ServiceState& service : services) {
    if (service.name == name) return &service;
  }
  return nullptr;
}

bool SupervisorState::AllReady() const {
  return std::all_of(services.begin(), services.end(),
                     [](const ServiceState& service) { return service.ready; });
}

absl::Status StartSupervisor(const Deployment& deployment) {
  const std::string log = deployment.File("logs/supervisor.log");
  // A line per event: it is put aside here, where nobody writes it.
  if (SizeOf(log) > kMostSupervisorLog) std::rename(log.c_str(), (log + ".1").c_str());
  const int log_fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (log_fd < 0) {
    return absl::FailedPreconditionError(absl::StrCat("cannot write ", log, ": ", strerror(errno)));
  }
  const int64_t begin = SizeOf(log);
  std::vector<std::string> arguments = {
      "vallm", "supervise", deployment.name(), "--state-dir",
      std::filesystem::path(deployment.directory()).parent_path().string()};
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid == 0) ExecSupervisor(log_fd, argv.data());
  close(log_fd);
  if (pid < 0) return absl::ResourceExhaustedError(absl::StrCat("fork: ", strerror(errno)));
  waitpid(pid, nullptr, 0);
  const absl::Time deadline = absl::Now() + kStartLimit;
  bool was_there = false;
  while (absl::Now() < deadline) {
    if (QuerySupervisor(deployment).ok()) return absl::OkStatus();
    const bool there = deployment.HasSupervisor();
    if ((was_there || SizeOf(log) > begin) && !there) break;  // it gave up
    was_there |= there;
    absl::SleepFor(kTick);
  }
  return absl::FailedPreconditionError(
      absl::StrCat("the supervisor did not start; see ", log, ":\n", LogTail(log, 5)));
}

absl::StatusOr<SupervisorState> QuerySupervisor(const Deployment& deployment) {
  VALLM_ASSIGN_OR_RETURN(const ordered_json reply, Call(deployment, {{"method", "status"}}));
  SupervisorState state;
  state.pid = reply.value("pid", 0);
  state.version = reply.value("version", "");
  state.started = absl::FromUnixSeconds(reply.value("started", int64_t{0}));
  for (const ordered_json& service : reply.value("services", ordered_json::array())) {
    state.services.push_back(
        {.name = service.value("name", ""),
         .log = service.value("log", ""),
         .address = service.value("address", ""),
         .pid = service.value("pid", 0),
         .state = service.value("state", ""),
         .ready = service.value("ready", false),
         .loaded_percent = service.value("loaded_percent", -1),
         .starts = service.value("starts", 0),
         .started = absl::FromUnixSeconds(service.value("started", int64_t{0})),
         .last_exit = service.value("last_exit", "")});
  }
  // The supervisor has them in the order in which they came.
  std::stable_sort(
      state.services.begin(), state.services.end(),
      [](const ServiceState& a, const ServiceState& b) { return Place(a.name) < Place(b.name); });
  return state;
}

absl::Status ApplyRecord(const Deployment& deployment, const std::vector<std::string>& restart) {
  return Call(deployment, {{"method", "apply"}, {"restart", restart}}).status();
}

absl::Status StopSupervisor(const Deployment& deployment, bool now,
                            const std::function<bool()>& tick) {
  VALLM_ASSIGN_OR_RETURN(const SupervisorState state, QuerySupervisor(deployment));
  VALLM_RETURN_IF_ERROR(Call(deployment, {{"method", "stop"}}).status());
  if (now) {  // a signal while it drains makes it kill
    absl::SleepFor(4 * kTick);
    kill(state.pid, SIGTERM);
  }
  while (deployment.HasSupervisor()) {
    if (!tick()) {
      return absl::CancelledError(
          "not waiting any longer; what runs goes on stopping (`vallm stop --now` kills it)");
    }
    absl::SleepFor(kTick);
  }
  return absl::OkStatus();
}

std::string LogTail(const std::string& path, int lines) {
  constexpr int64_t kMostBytes = 64 << 10;
  std::ifstream file(path, std::ios::binary);
  file.seekg(std::max<int64_t>(SizeOf(path) - kMostBytes, 0));
  std::deque<std::string> tail;
  for (std::string line; std::getline(file, line);) {
    tail.push_back("  | " + line);
    if (tail.size() > static_cast<size_t>(lines)) tail.pop_front();
  }
  return tail.empty() ? "  (it printed nothing)" : absl::StrJoin(tail, "\n");
}

}  // namespace vallm::tools
