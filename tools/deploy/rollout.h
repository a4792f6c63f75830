// Changes to a running deployment, one step at a time, so that it goes on serving meanwhile.
#ifndef VALLM_TOOLS_DEPLOY_ROLLOUT_H_
#define VALLM_TOOLS_DEPLOY_ROLLOUT_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tools/deploy/change_plan.h"
#include "tools/deploy/deployment.h"
#include "tools/deploy/gateway_admin.h"
#include "tools/deploy/supervisor_client.h"

namespace vallm::tools {

class Rollout {
 public:
  struct Options {
    absl::Duration start_timeout = absl::Hours(1);    // for a service to serve
    absl::Duration drain_timeout = absl::Minutes(1);  // for the requests of an instance to end
    std::function<void(const std::string&)> say;      // a line of progress
    std::function<bool()> interrupted;                // asked now and then
  };

  // `deployment` and `gateway` must outlive this.
  Rollout(const Deployment& deployment, const GatewayAdmin& gateway, Options options)
      : deployment_(deployment), gateway_(gateway), options_(std::move(options)) {}

  // Waits until every service, and in the gateway every engine, serves; shows them on stderr.
  // Errors: FAILED_PRECONDITION with the last words of a service that gave up before it ever
  // served; DEADLINE_EXCEEDED; CANCELLED when interrupted. Nothing is stopped.
  absl::Status WaitUntilServing();

  // Restarts engines one after the other, those first that do not serve: the gateway sends an
  // instance nothing more, its requests end or move, it restarts with what the record says, serves,
  // and gets requests again. Where there are several, one that serves waits until another one does.
  // Errors: as above, naming the engine; it is in service again if it can be, and those behind it
  // have not been touched.
  absl::Status RestartEngines(std::vector<std::string> names);

  // Restarts a service that is no engine. Errors: as above.
  absl::Status Restart(const std::string& name);

  // Carries out a plan that replaces nothing, after its record was written; `before` and `after`
  // are the engines' addresses. Errors: as above.
  absl::Status Apply(const ChangePlan& plan, const std::vector<std::string>& before,
                     const std::vector<std::string>& after);

  // Undoes what has been done of a plan, after the record of before was written again: what was
  // not restarted goes on. Errors: as above.
  absl::Status GoBack();

 private:
  absl::Status Pause() const;
  // As QuerySupervisor, and as `call` does; a machine that is short of time may keep either from
  // answering for a while, so both are tried again until then.
  absl::StatusOr<SupervisorState> Supervisor() const;
  absl::Status AskGateway(const std::function<absl::Status()>& call) const;
  // Tells the supervisor to restart a service.
  absl::Status Replace(const std::string& name);
  absl::Status WaitForService(const std::string& name, int starts_before);
  // `condition` says whether it is so. Errors: of the gateway are tried again until `timeout`.
  absl::Status WaitForInstance(const std::string& address, absl::Duration timeout,
                               const std::function<bool(const GatewayInstance&)>& condition);
  // Drains an instance until nothing runs there, or for drain_timeout.
  absl::Status Empty(const std::string& name, const GatewayInstance& instance);
  absl::Status RestartEngine(const std::string& name);

  const Deployment& deployment_;
  const GatewayAdmin& gateway_;
  const Options options_;
  std::vector<std::string> restarted_;  // by this
};

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DEPLOY_ROLLOUT_H_
