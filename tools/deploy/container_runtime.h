// Deployments of runtimes docker and k8s: files are written, and docker compose or kubectl do the
// rest.
#ifndef VALLM_TOOLS_DEPLOY_CONTAINER_RUNTIME_H_
#define VALLM_TOOLS_DEPLOY_CONTAINER_RUNTIME_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "tools/deploy/deploy_options.h"
#include "tools/deploy/deployment.h"
#include "tools/doctor/finding.h"

namespace vallm::tools {

using Say = std::function<void(const std::string&)>;

// What can be checked from here; the model only if it is here. Running deployments hold their own
// ports: `held`.
void CheckContainers(const DeployOptions& options, bool held, Findings& findings);

// Writes the files, and without --dry-run the record, and starts or changes the containers. Prints
// the vendor's lines. With --dry-run files are printed, or written where --output-dir was given.
// Without docker compose or kubectl the files are all there is, which is said. Waits until every
// instance serves; `interrupted` breaks that off.
// Errors: those of container_files.h, of the programs, DEADLINE_EXCEEDED, CANCELLED.
absl::Status DeployContainers(const Deployment& deployment, const DeployOptions& options,
                              const FlagValues& flags, const Say& say,
                              const std::function<bool()>& interrupted);

// Errors: FAILED_PRECONDITION when the program is missing or fails.
absl::Status StopContainers(const Deployment& deployment, const DeploymentRecord& record,
                            const Say& say);
absl::Status RestartContainers(const Deployment& deployment, const DeploymentRecord& record,
                               const Say& say);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DEPLOY_CONTAINER_RUNTIME_H_
