// Keeps a set of child processes running: one that ends is started again with back-off while the
// others go on. Children can be added, replaced and retired meanwhile. A termination signal is
// reported, and Shutdown() stops the children in phases.
//
// Not thread-safe: the main thread drives it, because children die with the thread that started
// them. REQUIRES: SIGINT and SIGTERM are blocked (common/signals.h) before any thread starts. There
// is at most one Supervisor in a process.
#ifndef VALLM_TOOLS_SERVE_SUPERVISOR_H_
#define VALLM_TOOLS_SERVE_SUPERVISOR_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "engine_service/restart_backoff.h"
#include "tools/serve/child_process.h"

namespace vallm::tools {

struct SupervisedChild {
  ChildSpec spec;
  // Children of a lower phase are stopped, and gone, before those of a higher one are told.
  int stop_phase = 0;
  // From SIGTERM to SIGKILL.
  absl::Duration stop_grace = absl::Seconds(10);
};

class Supervisor {
 public:
  struct Event {
    enum class Kind {
      kExited,       // a child ended by itself; it starts again after restart_delay
      kRestarted,    // it was started again
      kStartFailed,  // it could not be started again (error); next attempt after restart_delay
      kStopped,      // it ended after Replace(), whose child starts at once, or Retire()
      kSignal,       // SIGINT or SIGTERM arrived (signal_number)
    };
    Kind kind = Kind::kExited;
    int child = 0;  // in the order of Start and Add
    ChildExit exit;
    absl::Duration restart_delay;
    absl::Status error;
    int signal_number = 0;
  };

  // Starts all children, in order. Errors: those of ChildProcess::Spawn; nothing is left running.
  static absl::StatusOr<std::unique_ptr<Supervisor>> Start(std::vector<SupervisedChild> children);

  // Kills whatever still runs.
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Waits until something happened, at most `timeout`, and returns it; starts children whose
  // restart is due.
  std::vector<Event> Wait(absl::Duration timeout);

  // SIGKILL to a child and its group: for one that hangs. Wait() then reports its end and starts it
  // again as after any other. No effect while it waits for its restart.
  void Kill(int child);

  // Starts one more child; its index is the number of children before. Errors: as Start; nothing
  // has been added then.
  absl::Status Add(SupervisedChild child);

  // Stops a child (SIGTERM, SIGKILL after its grace) and starts `next` in its place, without
  // back-off. Wait() drives it and reports kStopped and kRestarted.
  void Replace(int child, SupervisedChild next);

  // Stops a child for good. Its index is not used again. Wait() reports kStopped.
  void Retire(int child);

  // Stops the children phase by phase: SIGTERM, a wait of at most their grace, SIGKILL to the
  // group. A signal that arrives meanwhile kills everything at once. `report` gets a line when a
  // phase begins and when a child has to be killed. When it returns no child is left. Call once.
  void Shutdown(const std::function<void(const std::string&)>& report);

  // 0 while the child waits for its restart, and once it is retired.
  pid_t pid(int child) const;
  const SupervisedChild& child(int child) const { return slots_[child].child; }

 private:
  struct Slot {
    SupervisedChild child;
    std::unique_ptr<ChildProcess> process;  // null: waiting for start_time
    absl::Time start_time;                  // of the process, or when it is due
    engine::RestartBackoff backoff;
    std::optional<SupervisedChild> next = {};       // of Replace
    bool retired = false;                           // or about to be
    absl::Time kill_time = absl::InfiniteFuture();  // of one that was told to stop
  };

  explicit Supervisor(int signal_fd) : signal_fd_(signal_fd) {}

  // Polls the signals and the children of `slots` until `deadline`. Returns the slots whose process
  // ended; *signal_number is set when a signal came.
  std::vector<Slot*> PollUntil(absl::Time deadline, const std::vector<Slot*>& slots,
                               int* signal_number);
  void StartDue(std::vector<Event>* events);
  Event RecordExit(Slot* slot);
  void TellToStop(Slot* slot);
  void KillOverdue();
  // False when a signal asked to kill everything.
  bool StopPhase(const std::vector<Slot*>& slots,
                 const std::function<void(const std::string&)>& report);
  int IndexOf(const Slot* slot) const;

  const int signal_fd_;
  std::vector<Slot> slots_;
};

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_SERVE_SUPERVISOR_H_
