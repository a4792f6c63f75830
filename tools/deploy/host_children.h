// The processes of a deployment of runtime host, as its supervisor starts them.
#ifndef VALLM_TOOLS_DEPLOY_HOST_CHILDREN_H_
#define VALLM_TOOLS_DEPLOY_HOST_CHILDREN_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/deploy/deploy_options.h"
#include "tools/deploy/deployment.h"
#include "tools/serve/preflight.h"
#include "tools/serve/supervisor.h"

namespace vallm::tools {

// Tokenizer, engines and gateway, named "tokenizer", "engine-<n>" and "gateway"; spec.output_path
// is the log file (the supervisor puts output_fd beside it). The gateway follows the deployment's
// instances.yaml. With --devices, VACC_VISIBLE_DEVICES of this process is set: the engines get
// their shares of it. `environment`: see ServiceChildren.
std::vector<SupervisedChild> HostChildren(const Deployment& deployment,
                                          const DeploymentRecord& record,
                                          const DeployOptions& options,
                                          const ServiceBinaries& binaries,
                                          const std::string& admin_key,
                                          const std::vector<std::string>& environment);

// "llm_serve_0.log" of "engine-0".
std::string LogName(const std::string& child);

// Where the logs of a deployment are.
std::string LogDirectory(const Deployment& deployment, const DeployOptions& options);

// "127.0.0.1:port" of every engine.
std::vector<std::string> EngineAddresses(const DeploymentRecord& record);

// Sets VACC_VISIBLE_DEVICES of this process to --devices, if it was given.
void ShowDevices(const DeployOptions& options);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DEPLOY_HOST_CHILDREN_H_
