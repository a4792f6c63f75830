// The files of deployments that run in containers: what runtimes docker and k8s write. Pure.
#ifndef VALLM_TOOLS_DEPLOY_CONTAINER_FILES_H_
#define VALLM_TOOLS_DEPLOY_CONTAINER_FILES_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/deploy/deploy_options.h"

namespace vallm::tools {

// Texts by path below the output directory. Those of `secret` are for the owner only.
struct ContainerFiles {
  std::map<std::string, std::string> files;
  std::vector<std::string> secret;
};

// The dies of a deployment: --devices, or the first that its instances need. Empty where the device
// is not vacc. Errors: INVALID_ARGUMENT naming --devices (malformed, too few).
absl::StatusOr<std::vector<int32_t>> DiesOf(const DeployOptions& options);

// compose.yaml: tokenizer, one service per engine, gateway, from one image that has all programs.
// The model and other files are mounted under their own paths, read only. `user` is "uid:gid".
// Errors: those of DiesOf.
absl::StatusOr<ContainerFiles> ComposeFiles(const DeployOptions& options,
                                            const std::string& admin_key, const std::string& user);

// base/, a copy of k8s/base, and overlay/, which `kubectl apply -k` takes.
// Errors: those of DiesOf; INVALID_ARGUMENT for flags that have another place in Kubernetes.
absl::StatusOr<ContainerFiles> OverlayFiles(const DeployOptions& options);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DEPLOY_CONTAINER_FILES_H_
