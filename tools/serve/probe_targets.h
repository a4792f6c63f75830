// Where the processes of ServiceChildren are asked whether they serve.
#ifndef VALLM_TOOLS_SERVE_PROBE_TARGETS_H_
#define VALLM_TOOLS_SERVE_PROBE_TARGETS_H_

#include <string>
#include <vector>

#include "tools/serve/options.h"
#include "tools/serve/preflight.h"
#include "tools/serve/readiness.h"

namespace vallm::tools {

// In the order of ServiceChildren.
std::vector<ProbeTarget> ProbeTargets(const ServeOptions& options, const InternalPorts& ports);

// Where a client on this machine finds what listens on `host`; fit for a URL.
std::string ReachableHost(const std::string& host);

// Whether the API's port does.
bool SpeaksTls(const ServeOptions& options);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_SERVE_PROBE_TARGETS_H_
