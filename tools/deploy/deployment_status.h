// How a deployment is: what its supervisor and its gateway say, put together.
#ifndef VALLM_TOOLS_DEPLOY_DEPLOYMENT_STATUS_H_
#define VALLM_TOOLS_DEPLOY_DEPLOYMENT_STATUS_H_

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/deploy/deployment.h"
#include "tools/deploy/gateway_admin.h"
#include "tools/deploy/supervisor_client.h"

namespace vallm::tools {

struct DeploymentStatus {
  std::string name;
  std::string runtime;
  // "serving" (every service does), "degraded" (requests are answered, something does not serve),
  // "starting" (nothing serves yet), "stopping", "stopped", or, of runtime k8s, "external".
  std::string state;
  std::string api;  // URLs
  std::string management;
  std::string model;  // served name
  std::string model_path;
  int instances = 0;
  int tensor_parallel_size = 0;
  std::string device;
  SupervisorState supervisor;               // of a running one
  std::vector<GatewayInstance> in_gateway;  // what the gateway says, if it answers
};

// Errors: those of reading the record.
absl::StatusOr<DeploymentStatus> StatusOf(const Deployment& deployment);

// For people. `now` is what uptimes count to.
std::string StatusTable(const DeploymentStatus& status, absl::Time now);
nlohmann::ordered_json StatusJson(const DeploymentStatus& status);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DEPLOY_DEPLOYMENT_STATUS_H_
