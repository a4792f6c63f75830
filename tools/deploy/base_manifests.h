// k8s/base, as it was when this program was built.
#ifndef VALLM_TOOLS_DEPLOY_BASE_MANIFESTS_H_
#define VALLM_TOOLS_DEPLOY_BASE_MANIFESTS_H_

#include <map>
#include <string>

namespace vallm::tools {

// Texts by file name.
std::map<std::string, std::string> BaseManifests();

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DEPLOY_BASE_MANIFESTS_H_
