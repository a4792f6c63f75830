// The supervisor of a deployment, seen from a command.
#ifndef VALLM_TOOLS_DEPLOY_SUPERVISOR_CLIENT_H_
#define VALLM_TOOLS_DEPLOY_SUPERVISOR_CLIENT_H_

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tools/deploy/deployment.h"

namespace vallm::tools {

struct ServiceState {
  std::string name;     // "tokenizer", "engine-0", "gateway"
  std::string log;      // its file
  std::string address;  // where it is probed
  pid_t pid = 0;        // 0: it waits for its restart
  std::string state;    // "running", "waiting" or "stopping"
  bool ready = false;
  int loaded_percent = -1;  // of the weights; -1: unknown
  int starts = 0;
  absl::Time started;
  std::string last_exit;  // how it ended the last time; empty: never by itself
};

struct SupervisorState {
  pid_t pid = 0;
  std::string version;
  absl::Time started;
  std::vector<ServiceState> services;

  // Null: none of that name.
  const ServiceState* Find(const std::string& name) const;
  bool AllReady() const;
};

// Starts the supervisor of `deployment` in the background, detached from this process and its
// terminal, and returns when it answers. Its own output goes to logs/supervisor.log.
// Errors: FAILED_PRECONDITION with what it printed when it gave up.
absl::Status StartSupervisor(const Deployment& deployment);

// Errors: UNAVAILABLE when no supervisor runs.
absl::StatusOr<SupervisorState> QuerySupervisor(const Deployment& deployment);

// Lets it read the deployment's record again, start and stop services accordingly, and replace
// those named. Returns at once. Errors: those of the call; FAILED_PRECONDITION with its own.
absl::Status ApplyRecord(const Deployment& deployment, const std::vector<std::string>& restart);

// Stops everything and waits for the end. `now`: kills instead of draining. `tick` is called now
// and then; false breaks the wait off (the stop goes on). Errors: CANCELLED, those of the call.
absl::Status StopSupervisor(const Deployment& deployment, bool now,
                            const std::function<bool()>& tick);

// The last lines of a file, indented.
std::string LogTail(const std::string& path, int lines);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DEPLOY_SUPERVISOR_CLIENT_H_
