// Local TCP ports: is one free, and which one could be used.
#ifndef VALLM_TOOLS_SERVE_PORTS_H_
#define VALLM_TOOLS_SERVE_PORTS_H_

#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vallm::tools {

// Whether a server could listen on host:port now. `host` is a numeric address or a name.
// Errors: INVALID_ARGUMENT for a host that does not resolve to an address of this machine;
// UNAVAILABLE when the port is taken, PERMISSION_DENIED when it may not be used.
absl::Status CheckPortFree(const std::string& host, int port);

// A port on 127.0.0.1 that is free now and not in `taken`, outside the range from which the kernel
// serves outgoing connections, so that it is still free when a crashed child wants it back.
// Errors: UNAVAILABLE when none was found.
absl::StatusOr<int> PickFreePort(const std::set<int>& taken);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_SERVE_PORTS_H_
