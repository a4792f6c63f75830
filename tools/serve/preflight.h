// What `vallm serve` checks on the machine before it starts a process, so that a mistake is one
// clear line instead of five crash loops.
#ifndef VALLM_TOOLS_SERVE_PREFLIGHT_H_
#define VALLM_TOOLS_SERVE_PREFLIGHT_H_

#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/serve/options.h"

namespace vallm::tools {

// The executables that serve starts, beside the running one.
struct ServiceBinaries {
  std::string tokenizer;
  std::string engine;
  std::string gateway;
};

// Errors: FAILED_PRECONDITION naming the binary that is missing.
absl::StatusOr<ServiceBinaries> FindServiceBinaries(const ServeOptions& options);

// The model directory has what the services read, and the chat template file exists.
// Errors: NOT_FOUND naming the file and the flag.
absl::Status CheckFiles(const ServeOptions& options);

// The engine will accept the model and its options, and there are dies for all instances.
// Errors: those of engine::PrepareEngine and engine::PlanDevice.
absl::Status CheckEngine(const ServeOptions& options);

// gRPC ports of the children on 127.0.0.1.
struct InternalPorts {
  int tokenizer = 0;
  std::vector<int> engines;
};

// Ports of an earlier run of the same services.
struct EarlierPorts {
  std::set<int> held;      // by processes that these services replace: not checked
  InternalPorts internal;  // kept where the flags do not say otherwise and they can be had
};

// Checks the public ports and picks or checks the internal ones.
// Errors: those of ports.h with the flag in front; INVALID_ARGUMENT when two ports are the same.
absl::StatusOr<InternalPorts> ReservePorts(const ServeOptions& options,
                                           const EarlierPorts& earlier = {});

// Makes the log directory. Errors: FAILED_PRECONDITION when it cannot be made or written.
absl::Status PrepareLogDir(const std::string& log_dir);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_SERVE_PREFLIGHT_H_
