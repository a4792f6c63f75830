// How the instances of `vallm serve` share the machine's cores.
#ifndef VALLM_TOOLS_SERVE_INSTANCE_CPUS_H_
#define VALLM_TOOLS_SERVE_INSTANCE_CPUS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "tools/serve/options.h"

namespace vallm::tools {

// --threads-per-worker of every engine; absent where the engine's own default does.
std::optional<int32_t> ThreadsPerWorker(const ServeOptions& options);

// Whether --worker-cpus has a list for every rank of every instance, if it has lists. Errors:
// INVALID_ARGUMENT.
absl::Status CheckWorkerCpus(const ServeOptions& options);

// --worker-cpus of one instance, counted from 0; those of different instances are disjoint.
// REQUIRES: CheckWorkerCpus.
std::string WorkerCpus(const ServeOptions& options, int instance);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_SERVE_INSTANCE_CPUS_H_
