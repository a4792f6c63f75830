// Deployments of runtime host: from a record to processes that serve.
#ifndef VALLM_TOOLS_DEPLOY_HOST_RUNTIME_H_
#define VALLM_TOOLS_DEPLOY_HOST_RUNTIME_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/deploy/change_plan.h"
#include "tools/deploy/deploy_options.h"
#include "tools/deploy/deployment.h"
#include "tools/deploy/gateway_admin.h"
#include "tools/deploy/rollout.h"
#include "tools/doctor/finding.h"

namespace vallm::tools {

// What is to be done to a deployment, and everything needed to do it.
struct HostPlan {
  DeploymentRecord record;                 // to be written
  std::optional<DeploymentRecord> before;  // of what is there; absent: nothing
  bool running = false;                    // a supervisor runs
  std::vector<std::string> flag_changes;   // DescribeChanges
  ChangePlan change;                       // where it runs
  std::vector<SupervisedChild> children;   // of `record`
};

// Reads what is there and plans what to do. Changes nothing. Adds findings for what is wrong with
// machine, model or options; a plan with failed findings is not to be carried out.
// Errors: those of reading the record.
absl::StatusOr<HostPlan> PlanHost(const Deployment& deployment, const DeployOptions& options,
                                  const FlagValues& flags, Findings& findings);

// Carries a plan out, without waiting where everything starts anew. When a change of a running
// deployment fails, the record and the processes go back to what they were.
// Errors: those of StartSupervisor and Rollout.
absl::Status CarryOut(const Deployment& deployment, const DeployOptions& options,
                      const HostPlan& plan, Rollout& rollout,
                      const std::function<void(const std::string&)>& say);

// The gateway of a deployment on this machine. Errors: those of AdminKey.
absl::StatusOr<std::unique_ptr<GatewayAdmin>> GatewayOf(const Deployment& deployment,
                                                        const ServeOptions& options);

// `plan` in lines for people.
std::string DescribePlan(const HostPlan& plan);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DEPLOY_HOST_RUNTIME_H_
