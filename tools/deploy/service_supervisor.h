// The processes of a deployment: started, watched, restarted, logged, and told apart by name. What
// the supervisor of a deployment (supervise_command) does between two calls of its socket.
//
// Not thread-safe: the main thread drives it (tools/serve/supervisor.h says why).
#ifndef VALLM_TOOLS_DEPLOY_SERVICE_SUPERVISOR_H_
#define VALLM_TOOLS_DEPLOY_SERVICE_SUPERVISOR_H_

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tools/deploy/log_router.h"
#include "tools/serve/readiness.h"
#include "tools/serve/supervisor.h"

namespace vallm::tools {

// A process and how one asks whether it serves.
struct Service {
  SupervisedChild child;
  ProbeTarget probe;
};

class ServiceSupervisor {
 public:
  // Starts `services`; `logs` must outlive this. A service that was ready and is silent for
  // `hang_timeout` is killed and started again (zero: never). `report` gets a line for everything
  // that happens. Errors: those of Supervisor::Start.
  static absl::StatusOr<std::unique_ptr<ServiceSupervisor>> Start(
      std::vector<Service> services, LogRouter& logs, absl::Duration hang_timeout,
      std::function<void(const std::string&)> report);

  // Waits for events, at most `timeout`, and handles them. False: SIGINT or SIGTERM came.
  bool Step(absl::Duration timeout);

  // Makes the set of services that of `services`: starts those that are new, stops those that are
  // gone, and replaces those named in `restart`. Others stay as they run, also where their
  // commands differ. Errors: those of Supervisor::Add, after as much as could be done.
  absl::Status Apply(std::vector<Service> services, const std::vector<std::string>& restart);

  // Stops everything, phase by phase; a second signal kills. Call once.
  void Shutdown();

  // {"services": [{name, log, pid, state, ready, loaded_percent, starts, started, uptime_seconds,
  // last_exit}]}: state is "running", "waiting" (for its restart) or "stopping".
  nlohmann::ordered_json Describe() const;

 private:
  struct Entry {
    std::string name;
    std::string log;
    ProbeTarget probe;
    std::unique_ptr<ReadinessMonitor> monitor;  // of this one; null once it is retired
    bool retired = false;
    bool stopping = false;
    bool was_ready = false;
    int starts = 1;
    absl::Time started;
    std::string last_exit;
  };

  ServiceSupervisor(LogRouter& logs, absl::Duration hang_timeout,
                    std::function<void(const std::string&)> report);
  absl::Status Add(Service service);
  absl::StatusOr<SupervisedChild> WithOutput(SupervisedChild child);
  void Handle(const Supervisor::Event& event);
  void WatchReadiness();
  // The one that runs under this name; null: none.
  Entry* Find(const std::string& name);

  LogRouter& logs_;
  const absl::Duration hang_timeout_;
  const std::function<void(const std::string&)> report_;
  std::unique_ptr<Supervisor> supervisor_;
  std::vector<Entry> entries_;  // in the order of the supervisor's children
};

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DEPLOY_SERVICE_SUPERVISOR_H_
