// How many threads each worker has, on which CPUs, and how long it may spin. Pure, given the
// machine.
#ifndef VALLM_ENGINE_SERVICE_WORKER_PLACEMENT_H_
#define VALLM_ENGINE_SERVICE_WORKER_PLACEMENT_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "engine_service/engine_options.h"
#include "engine_service/executor/cpu_topology.h"
#include "engine_service/executor/placement.h"
#include "engine_service/executor/spin.h"

namespace vallm::engine {

// Values of --worker-cpus besides lists of CPUs.
inline constexpr char kAutoCpus[] = "auto";
inline constexpr char kAnyCpus[] = "nobind";

struct WorkerPlacement {
  int32_t threads = 1;  // of each worker
  RankCpus cpus;        // `threads` CPUs per rank; empty: not bound
  SpinLimits spin_limits;
};

// "auto" binds the workers of device cpu where it is clear that the CPUs are theirs: all of them
// are used, or the number of threads was left to us. `usable_cores` is UsableCores(). Errors:
// INVALID_ARGUMENT (--worker-cpus is neither a word nor lists that fit, or contradicts
// --threads-per-worker).
absl::StatusOr<WorkerPlacement> PlaceWorkers(const EngineOptions& options,
                                             const CpuTopology& topology, int32_t usable_cores);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_WORKER_PLACEMENT_H_
