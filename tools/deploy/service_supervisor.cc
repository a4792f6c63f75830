#include "tools/deploy/service_supervisor.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"

namespace vallm::tools {
namespace {

using nlohmann::ordered_json;
using Kind = Supervisor::Event::Kind;

}  // namespace

absl::StatusOr<std::unique_ptr<ServiceSupervisor>> ServiceSupervisor::Start(
    std::vector<Service> services, LogRouter& logs, absl::Duration hang_timeout,
    std::function<void(const std::string&)> report) {
  auto self = std::unique_ptr<ServiceSupervisor>(
      new ServiceSupervisor(logs, hang_timeout, std::move(report)));
  VALLM_ASSIGN_OR_RETURN(self->supervisor_, Supervisor::Start({}));
  for (Service& service : services) VALLM_RETURN_IF_ERROR(self->Add(std::move(service)));
  return self;
}

ServiceSupervisor::ServiceSupervisor(LogRouter& logs, absl::Duration hang_timeout,
                                     std::function<void(const std::string&)> report)
    : logs_(logs), hang_timeout_(hang_timeout), report_(std::move(report)) {}

absl::StatusOr<SupervisedChild> ServiceSupervisor::WithOutput(SupervisedChild child) {
  VALLM_ASSIGN_OR_RETURN(child.spec.output_fd, logs_.Output(child.spec.output_path));
  return child;
}

absl::Status ServiceSupervisor::Add(Service service) {
  VALLM_ASSIGN_OR_RETURN(SupervisedChild child, WithOutput(std::move(service.child)));
  Entry entry;
  entry.name = child.spec.name;
  entry.log = child.spec.output_path;
  entry.probe = service.probe;
  entry.started = absl::Now();
  VALLM_RETURN_IF_ERROR(supervisor_->Add(std::move(child)));
  entry.monitor = std::make_unique<ReadinessMonitor>(std::vector<ProbeTarget>{entry.probe});
  entries_.push_back(std::move(entry));
  return absl::OkStatus();
}

ServiceSupervisor::Entry* ServiceSupervisor::Find(const std::string& name) {
  for (Entry& entry : entries_) {
    if (!entry.retired && entry.name == name) return &entry;
  }
  return nullptr;
}

absl::Status ServiceSupervisor::Apply(std::vector<Service> services,
                                      const std::vector<std::string>& restart) {
  absl::Status status;
  for (size_t i = 0; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    const bool wanted = std::any_of(services.begin(), services.end(), [&](const Service& s) {
      return s.child.spec.name == entry.name;
    });
    if (entry.retired || wanted) continue;
    report_(absl::StrCat(entry.name, ": stopping, it is not part of the deployment any more"));
    entry.retired = true;
    entry.monitor.reset();
    supervisor_->Retire(static_cast<int>(i));
  }
  for (Service& service : services) {
    Entry* const entry = Find(service.child.spec.name);
    if (entry == nullptr) {
      report_(absl::StrCat(service.child.spec.name, ": starting"));
      status.Update(Add(std::move(service)));
      continue;
    }
    if (std::find(restart.begin(), restart.end(), entry->name) == restart.end()) continue;
    auto child = WithOutput(std::move(service.child));
    status.Update(child.status());
    if (!child.ok()) continue;
    report_(absl::StrCat(entry->name, ": restarting, as it was asked to"));
    entry->stopping = true;
    entry->log = child->spec.output_path;
    entry->probe = service.probe;
    const int index = static_cast<int>(entry - entries_.data());
    if (supervisor_->pid(index) == 0) {  // its end will not be reported again
      entry->monitor = std::make_unique<ReadinessMonitor>(std::vector<ProbeTarget>{entry->probe});
    }
    supervisor_->Replace(index, *std::move(child));
  }
  return status;
}

void ServiceSupervisor::Handle(const Supervisor::Event& event) {
  Entry& entry = entries_[static_cast<size_t>(event.child)];
  switch (event.kind) {
    case Kind::kExited:
      entry.last_exit = event.exit.ToString();
      entry.was_ready = false;
      if (entry.monitor != nullptr) entry.monitor->MarkDown(0);
      report_(absl::StrCat(entry.name, " ", entry.last_exit, "; starting it again ",
                           event.restart_delay == absl::ZeroDuration()
                               ? "now"
                               : absl::StrCat("in ", absl::FormatDuration(event.restart_delay))));
      break;
    case Kind::kStopped:
      report_(absl::StrCat(entry.name, ": stopped"));
      entry.was_ready = false;
      // The next one may listen elsewhere.
      if (!entry.retired) {
        entry.monitor = std::make_unique<ReadinessMonitor>(std::vector<ProbeTarget>{entry.probe});
      }
      break;
    case Kind::kStartFailed:
      report_(absl::StrCat(entry.name, " could not be started: ", event.error.message(),
                           "; next attempt in ", absl::FormatDuration(event.restart_delay)));
      break;
    case Kind::kRestarted:
      entry.stopping = false;
      ++entry.starts;
      entry.started = absl::Now();
      break;
    case Kind::kSignal:
      break;
  }
}

void ServiceSupervisor::WatchReadiness() {
  for (size_t i = 0; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    if (entry.monitor == nullptr || entry.stopping) continue;
    const TargetState state = entry.monitor->States().front();
    if (hang_timeout_ > absl::ZeroDuration() && state.silent_for >= hang_timeout_) {
      report_(absl::StrCat(entry.name, " hangs: no answer for ",
                           absl::FormatDuration(absl::Trunc(state.silent_for, absl::Seconds(1))),
                           " (--hang-timeout); killing it"));
      supervisor_->Kill(static_cast<int>(i));
      entry.monitor->MarkDown(0);
    }
    if (state.ready == entry.was_ready) continue;
    entry.was_ready = state.ready;
    report_(absl::StrCat(entry.name, state.ready ? " is ready" : " is not ready"));
  }
}

bool ServiceSupervisor::Step(absl::Duration timeout) {
  for (const Supervisor::Event& event : supervisor_->Wait(timeout)) {
    if (event.kind == Kind::kSignal) return false;
    Handle(event);
  }
  WatchReadiness();
  return true;
}

void ServiceSupervisor::Shutdown() { supervisor_->Shutdown(report_); }

ordered_json ServiceSupervisor::Describe() const {
  ordered_json services = ordered_json::array();
  for (size_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    if (entry.retired) continue;
    const pid_t pid = supervisor_->pid(static_cast<int>(i));
    // Until it has ended, one that is told to stop may still say that it serves.
    const TargetState state = entry.stopping ? TargetState() : entry.monitor->States().front();
    const char* const name = entry.stopping ? "stopping" : pid == 0 ? "waiting" : "running";
    services.push_back({{"name", entry.name},
                        {"log", entry.log},
                        {"address", entry.probe.address},
                        {"pid", pid},
                        {"state", name},
                        {"ready", state.ready && pid != 0},
                        {"loaded_percent", state.loaded_percent},
                        {"starts", entry.starts},
                        {"started", absl::ToUnixSeconds(entry.started)},
                        {"last_exit", entry.last_exit}});
  }
  return {{"services", std::move(services)}};
}

}  // namespace vallm::tools
