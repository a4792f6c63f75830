#include "tools/serve/serve_command.h"

#include <glog/logging.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/flags.h"
#include "common/logging.h"
#include "common/signals.h"
#include "common/status_macros.h"
#include "common/version.h"
#include "tools/serve/child_commands.h"
#include "tools/serve/options.h"
#include "tools/serve/preflight.h"
#include "tools/serve/probe_targets.h"
#include "tools/serve/progress_display.h"
#include "tools/serve/readiness.h"
#include "tools/serve/service_summary.h"
#include "tools/serve/supervisor.h"
#include "tools/state_dir.h"

namespace vallm::tools {
namespace {

constexpr char kExamples[] =
    "  vallm serve ./Qwen3-30B-A3B-FP8 --tensor-parallel-size 2 --max-model-len 32768 \\\n"
    "    --enable-reasoning --reasoning-parser qwen3 --enable-auto-tool-choice "
    "--tool-call-parser hermes\n"
    "  vallm serve tools/demo_model/Qwen3-Demo-MoE-FP8 --port 8000 --management-port 9000\n"
    "  VALLM_API_KEY=secret vallm serve ./Qwen3-8B --served-model-name qwen3 --config serve.yaml\n";

constexpr absl::Duration kTick = absl::Milliseconds(100);
constexpr int kOutputTailBytes = 2000;

int64_t FileSize(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  return error ? 0 : static_cast<int64_t>(size);
}

// The last lines that a child printed, indented; what stands before `begin` is of an earlier run.
std::string OutputTail(const std::string& path, int64_t begin) {
  const int64_t tail_begin = std::max(begin, FileSize(path) - kOutputTailBytes);
  std::ifstream file(path, std::ios::binary);
  file.seekg(tail_begin);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back("  | " + line);
  if (tail_begin > begin && lines.size() > 1) lines.erase(lines.begin());  // cut in the middle
  return lines.empty() ? "  (it printed nothing)" : absl::StrJoin(lines, "\n");
}

// One run of the services: from their start until they are stopped.
class Session {
 public:
  static absl::StatusOr<std::unique_ptr<Session>> Start(ServeOptions options,
                                                        const InternalPorts& ports,
                                                        std::vector<SupervisedChild> children) {
    auto session = std::unique_ptr<Session>(new Session(std::move(options), ports));
    for (const SupervisedChild& child : children) {
      session->specs_.push_back(child.spec);
      session->output_begins_.push_back(FileSize(child.spec.output_path));
    }
    // Before the monitor makes threads: fork is simplest while there are none.
    VALLM_ASSIGN_OR_RETURN(session->supervisor_, Supervisor::Start(std::move(children)));
    session->monitor_ =
        std::make_unique<ReadinessMonitor>(ProbeTargets(session->options_, session->ports_));
    return session;
  }

  // Returns the exit code once everything is stopped.
  int Run() {
    const Outcome outcome = WaitUntilReady();
    if (outcome == Outcome::kReady) {
      PrintBanner();
      KeepRunning();
    }
    supervisor_->Shutdown([this](const std::string& line) { Say(line); });
    Say("stopped");
    return outcome == Outcome::kFailed ? 1 : 0;
  }

 private:
  enum class Outcome { kReady, kFailed, kInterrupted };

  Session(ServeOptions options, const InternalPorts& ports)
      : options_(std::move(options)), ports_(ports), start_time_(absl::Now()) {}

  void Say(const std::string& line) {
    LOG(INFO) << line;
    if (display_ != nullptr) {
      display_->Print(line);
    } else {
      std::fprintf(stderr, "%s\n", line.c_str());
    }
  }

  Outcome WaitUntilReady() {
    std::vector<std::string> names;
    for (const ChildSpec& spec : specs_) names.push_back(spec.name);
    ProgressDisplay display(stderr, isatty(STDERR_FILENO) != 0, names, start_time_);
    display_ = &display;
    Outcome outcome = Outcome::kReady;
    while (true) {
      const std::vector<TargetState> states = monitor_->States();
      display.Update(states, absl::Now());
      if (std::all_of(states.begin(), states.end(), [](const TargetState& s) { return s.ready; })) {
        break;
      }
      KillHung(states);
      const std::vector<Supervisor::Event> events = supervisor_->Wait(kTick);
      if (!HandleStartEvents(events, &outcome)) break;
    }
    display_ = nullptr;
    return outcome;
  }

  // False when the start is over; *outcome says how.
  bool HandleStartEvents(const std::vector<Supervisor::Event>& events, Outcome* outcome) {
    for (const Supervisor::Event& event : events) {
      if (event.kind == Supervisor::Event::Kind::kSignal) {
        *outcome = Outcome::kInterrupted;
        return false;
      }
      // A service that gives up by itself before anything worked will do so again: a bad model, a
      // port taken meanwhile. One that was killed may just have been unlucky.
      if (event.kind == Supervisor::Event::Kind::kExited && !event.exit.signaled) {
        const ChildSpec& spec = specs_[event.child];
        Say(absl::StrCat(spec.name, " ", event.exit.ToString(), " while starting; its output (",
                         spec.output_path, "):\n",
                         OutputTail(spec.output_path, output_begins_[event.child])));
        *outcome = Outcome::kFailed;
        return false;
      }
      Report(event);
    }
    return true;
  }

  void KeepRunning() {
    std::vector<bool> was_ready(specs_.size(), true);
    while (true) {
      for (const Supervisor::Event& event : supervisor_->Wait(kTick)) {
        if (event.kind == Supervisor::Event::Kind::kSignal) return;
        if (event.kind == Supervisor::Event::Kind::kExited) was_ready[event.child] = false;
        Report(event);
      }
      const std::vector<TargetState> states = monitor_->States();
      KillHung(states);
      for (size_t i = 0; i < states.size(); ++i) {
        if (states[i].ready == was_ready[i]) continue;
        Say(absl::StrCat(specs_[i].name, states[i].ready ? " is ready again" : " is not ready"));
        was_ready[i] = states[i].ready;
      }
    }
  }

  // A process that is stopped or deadlocked does not end by itself. Wait() then reports its end.
  void KillHung(const std::vector<TargetState>& states) {
    if (options_.hang_timeout_s == 0) return;
    for (size_t i = 0; i < states.size(); ++i) {
      if (states[i].silent_for < absl::Seconds(options_.hang_timeout_s)) continue;
      Say(absl::StrCat(specs_[i].name, " hangs: no answer for ",
                       absl::FormatDuration(absl::Trunc(states[i].silent_for, absl::Seconds(1))),
                       " (--hang-timeout); killing it"));
      supervisor_->Kill(static_cast<int>(i));
      monitor_->MarkDown(static_cast<int>(i));
    }
  }

  void Report(const Supervisor::Event& event) {
    const std::string& name = specs_[event.child].name;
    switch (event.kind) {
      case Supervisor::Event::Kind::kExited:
        monitor_->MarkDown(event.child);
        Say(absl::StrCat(name, " ", event.exit.ToString(), "; starting it again ",
                         event.restart_delay == absl::ZeroDuration()
                             ? "now"
                             : absl::StrCat("in ", absl::FormatDuration(event.restart_delay)),
                         " (output: ", specs_[event.child].output_path, ")"));
        break;
      case Supervisor::Event::Kind::kStartFailed:
        Say(absl::StrCat(name, " could not be started: ", event.error.message(),
                         "; next attempt in ", absl::FormatDuration(event.restart_delay)));
        break;
      case Supervisor::Event::Kind::kRestarted:
      case Supervisor::Event::Kind::kSignal:
      case Supervisor::Event::Kind::kStopped:
        break;
    }
  }

  void PrintBanner() {
    const std::string banner = absl::StrFormat("vallm %s is ready after %.1f s\n%s", kVersion,
                                               absl::ToDoubleSeconds(absl::Now() - start_time_),
                                               ServiceSummary(options_, ports_));
    const std::string rest = absl::StrFormat("  %-12s %s\n  %-12s %s\n", "logs",
                                             options_.engine.log_dir, "stop", "Ctrl-C");
    LOG(INFO) << banner;
    std::printf("%s%s", banner.c_str(), rest.c_str());
    std::fflush(stdout);
  }

  const ServeOptions options_;
  const InternalPorts ports_;
  const absl::Time start_time_;
  std::vector<ChildSpec> specs_;
  std::vector<int64_t> output_begins_;  // sizes of the output files before this run
  std::unique_ptr<Supervisor> supervisor_;
  std::unique_ptr<ReadinessMonitor> monitor_;
  ProgressDisplay* display_ = nullptr;  // while the services start
};

std::vector<std::string> EnvironmentNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_envname().empty()) names.push_back(option->get_envname());
  }
  return names;
}

absl::StatusOr<std::unique_ptr<Session>> Prepare(ServeOptions options,
                                                 const std::vector<std::string>& environment) {
  VALLM_RETURN_IF_ERROR(FinishServeOptions(options));
  VALLM_RETURN_IF_ERROR(CheckFiles(options));
  VALLM_ASSIGN_OR_RETURN(const ServiceBinaries binaries, FindServiceBinaries(options));
  VALLM_RETURN_IF_ERROR(CheckEngine(options));
  VALLM_ASSIGN_OR_RETURN(const InternalPorts ports, ReservePorts(options));
  if (options.engine.log_dir.empty()) {
    options.engine.log_dir = MakeStateDir(absl::StrCat("serve-", options.port));
  }
  VALLM_RETURN_IF_ERROR(PrepareLogDir(options.engine.log_dir));
  VALLM_RETURN_IF_ERROR(InitLogging("vallm-serve", options.engine.log_dir));
  std::fprintf(
      stderr, "vallm serve: starting %s on %s, %d instance(s) x tensor parallel %d; logs in %s\n",
      options.served_model_names.front().c_str(), options.engine.device.c_str(), options.instances,
      options.engine.tensor_parallel_size, options.engine.log_dir.c_str());
  auto children = ServiceChildren(options, binaries, ports, environment);
  return Session::Start(std::move(options), ports, std::move(children));
}

}  // namespace

int RunServe(int argc, char** argv) {
  BlockTerminationSignals();
  ServeOptions options;
  FlagParser flags("vallm serve",
                   "Serves a model over the OpenAI API on this machine: starts and supervises the "
                   "tokenizer, the engines and the gateway. Ctrl-C drains and stops them all; a "
                   "second one kills them.",
                   kExamples);
  AddServeFlags(flags.app(), options);
  if (auto exit_code = flags.Parse(argc, argv)) return *exit_code;
  auto session = Prepare(std::move(options), ChildEnvironment(EnvironmentNames(flags.app())));
  if (!session.ok()) {
    std::fprintf(stderr, "vallm serve: %s\n", std::string(session.status().message()).c_str());
    return absl::IsInvalidArgument(session.status()) ? 2 : 1;
  }
  return (*session)->Run();
}

}  // namespace vallm::tools
