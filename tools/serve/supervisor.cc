#include "tools/serve/supervisor.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"

namespace vallm::tools {

absl::StatusOr<std::unique_ptr<Supervisor>> Supervisor::Start(
    std::vector<SupervisedChild> children) {
  sigset_t termination;
  sigemptyset(&termination);
  sigaddset(&termination, SIGINT);
  sigaddset(&termination, SIGTERM);
  const int signal_fd = signalfd(-1, &termination, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signal_fd < 0) {
    return absl::ResourceExhaustedError(absl::StrCat("signalfd: ", strerror(errno)));
  }
  auto supervisor = std::unique_ptr<Supervisor>(new Supervisor(signal_fd));
  for (SupervisedChild& child : children) {
    VALLM_RETURN_IF_ERROR(supervisor->Add(std::move(child)));
  }
  return supervisor;
}

absl::Status Supervisor::Add(SupervisedChild child) {
  VALLM_ASSIGN_OR_RETURN(auto process, ChildProcess::Spawn(child.spec));
  slots_.push_back({.child = std::move(child),
                    .process = std::move(process),
                    .start_time = absl::Now(),
                    .backoff = {}});
  return absl::OkStatus();
}

void Supervisor::TellToStop(Slot* slot) {
  if (slot->process == nullptr || slot->kill_time != absl::InfiniteFuture()) return;
  slot->process->Signal(SIGTERM);
  slot->kill_time = absl::Now() + slot->child.stop_grace;
}

void Supervisor::Replace(int child, SupervisedChild next) {
  Slot& slot = slots_[child];
  if (slot.retired) return;
  if (slot.process == nullptr) {
    slot.child = std::move(next);
    slot.backoff = {};
    slot.start_time = absl::Now();
    return;
  }
  slot.next = std::move(next);
  TellToStop(&slot);
}

void Supervisor::Retire(int child) {
  Slot& slot = slots_[child];
  slot.retired = true;
  slot.next.reset();
  if (slot.process == nullptr) slot.start_time = absl::InfiniteFuture();
  TellToStop(&slot);
}

void Supervisor::KillOverdue() {
  for (Slot& slot : slots_) {
    if (slot.process == nullptr || absl::Now() < slot.kill_time) continue;
    slot.process->KillGroup();
    slot.kill_time = absl::InfiniteFuture();
  }
}

Supervisor::~Supervisor() {
  slots_.clear();
  close(signal_fd_);
}

pid_t Supervisor::pid(int child) const {
  const Slot& slot = slots_[child];
  return slot.process == nullptr ? 0 : slot.process->pid();
}

void Supervisor::Kill(int child) {
  if (slots_[child].process != nullptr) slots_[child].process->KillGroup();
}

int Supervisor::IndexOf(const Slot* slot) const { return static_cast<int>(slot - slots_.data()); }

std::vector<Supervisor::Slot*> Supervisor::PollUntil(absl::Time deadline,
                                                     const std::vector<Slot*>& slots,
                                                     int* signal_number) {
  std::vector<pollfd> fds = {{.fd = signal_fd_, .events = POLLIN, .revents = 0}};
  std::vector<Slot*> polled;
  for (Slot* slot : slots) {
    if (slot->process == nullptr) continue;
    fds.push_back({.fd = slot->process->pidfd(), .events = POLLIN, .revents = 0});
    polled.push_back(slot);
  }
  const absl::Duration timeout = std::max(deadline - absl::Now(), absl::ZeroDuration());
  const timespec limit = absl::ToTimespec(timeout);
  std::vector<Slot*> ended;
  if (ppoll(fds.data(), fds.size(), &limit, nullptr) <= 0) return ended;
  signalfd_siginfo info;
  if (fds[0].revents != 0 && read(signal_fd_, &info, sizeof(info)) == sizeof(info)) {
    *signal_number = static_cast<int>(info.ssi_signo);
  }
  for (size_t i = 0; i < polled.size(); ++i) {
    if (fds[i + 1].revents != 0) ended.push_back(polled[i]);
  }
  return ended;
}

Supervisor::Event Supervisor::RecordExit(Slot* slot) {
  const ChildExit exit = slot->process->Reap();
  slot->process.reset();
  slot->kill_time = absl::InfiniteFuture();
  const absl::Time now = absl::Now();
  if (slot->retired || slot->next.has_value()) {
    Event event;
    event.kind = Event::Kind::kStopped;
    event.child = IndexOf(slot);
    event.exit = exit;
    slot->start_time = slot->retired ? absl::InfiniteFuture() : now;
    if (slot->next.has_value()) slot->child = *std::exchange(slot->next, std::nullopt);
    slot->backoff = {};
    return event;
  }
  const absl::Duration delay = slot->backoff.Next(now - slot->start_time);
  slot->start_time = now + delay;
  Event event;
  event.kind = Event::Kind::kExited;
  event.child = IndexOf(slot);
  event.exit = exit;
  event.restart_delay = delay;
  return event;
}

void Supervisor::StartDue(std::vector<Event>* events) {
  for (Slot& slot : slots_) {
    if (slot.process != nullptr || slot.start_time > absl::Now()) continue;
    Event event;
    event.child = IndexOf(&slot);
    auto process = ChildProcess::Spawn(slot.child.spec);
    slot.start_time = absl::Now();
    if (process.ok()) {
      slot.process = *std::move(process);
      event.kind = Event::Kind::kRestarted;
    } else {
      event.kind = Event::Kind::kStartFailed;
      event.error = process.status();
      event.restart_delay = slot.backoff.Next(absl::ZeroDuration());
      slot.start_time += event.restart_delay;
    }
    events->push_back(std::move(event));
  }
}

std::vector<Supervisor::Event> Supervisor::Wait(absl::Duration timeout) {
  std::vector<Event> events;
  KillOverdue();
  StartDue(&events);
  absl::Time deadline = events.empty() ? absl::Now() + timeout : absl::InfinitePast();
  std::vector<Slot*> all;
  for (Slot& slot : slots_) {
    all.push_back(&slot);
    deadline = std::min(deadline, slot.process == nullptr ? slot.start_time : slot.kill_time);
  }
  int signal_number = 0;
  for (Slot* slot : PollUntil(deadline, all, &signal_number)) events.push_back(RecordExit(slot));
  if (signal_number != 0) {
    Event event;
    event.kind = Event::Kind::kSignal;
    event.signal_number = signal_number;
    events.push_back(std::move(event));
  }
  return events;
}

bool Supervisor::StopPhase(const std::vector<Slot*>& slots,
                           const std::function<void(const std::string&)>& report) {
  absl::Duration longest;
  std::vector<std::string> names;
  const absl::Time begin = absl::Now();
  for (Slot* slot : slots) {
    if (slot->process == nullptr) continue;
    slot->process->Signal(SIGTERM);
    names.push_back(slot->child.spec.name);
    longest = std::max(longest, slot->child.stop_grace);
  }
  if (names.empty()) return true;
  report(absl::StrCat("stopping ", absl::StrJoin(names, ", "), " (at most ",
                      absl::FormatDuration(longest), ")"));
  while (true) {
    absl::Time deadline = absl::InfiniteFuture();
    for (Slot* slot : slots) {
      if (slot->process == nullptr) continue;
      if (absl::Now() >= begin + slot->child.stop_grace) {
        report(absl::StrCat(slot->child.spec.name, " did not stop within ",
                            absl::FormatDuration(slot->child.stop_grace), ": killed"));
        slot->process.reset();
      } else {
        deadline = std::min(deadline, begin + slot->child.stop_grace);
      }
    }
    if (deadline == absl::InfiniteFuture()) return true;
    int signal_number = 0;
    for (Slot* slot : PollUntil(deadline, slots, &signal_number)) {
      slot->process->Reap();
      slot->process.reset();
    }
    if (signal_number != 0) return false;
  }
}

void Supervisor::Shutdown(const std::function<void(const std::string&)>& report) {
  std::set<int> phases;
  for (const Slot& slot : slots_) phases.insert(slot.child.stop_phase);
  for (int phase : phases) {
    std::vector<Slot*> members;
    for (Slot& slot : slots_) {
      if (slot.child.stop_phase == phase) members.push_back(&slot);
    }
    if (!StopPhase(members, report)) {
      report("killing all processes");
      break;
    }
  }
  for (Slot& slot : slots_) slot.process.reset();
}

}  // namespace vallm::tools
