// Names that end up in files of other programs, compose and kustomize, where a character too many
// would mean something else. Pure.
#ifndef VALLM_TOOLS_DEPLOY_CONTAINER_NAMES_H_
#define VALLM_TOOLS_DEPLOY_CONTAINER_NAMES_H_

#include <string>

#include "absl/status/status.h"
#include "tools/deploy/deploy_options.h"

namespace vallm::tools {

// An image reference, keys and paths, and for runtime k8s namespace, claim and resource.
// Errors: INVALID_ARGUMENT naming the flag and what it may hold.
absl::Status CheckContainerNames(const DeployOptions& options);

// `path` as a mount of a compose file, which colons divide. Errors: INVALID_ARGUMENT.
absl::Status CheckMount(const std::string& path);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DEPLOY_CONTAINER_NAMES_H_
