#include "engine_service/worker_placement.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace vallm::engine {
namespace {

absl::StatusOr<WorkerPlacement> PlaceOnLists(const EngineOptions& options,
                                             const CpuTopology& topology, int32_t usable_cores) {
  auto cpus = ParseRankCpus(options.worker_cpus, options.tensor_parallel_size, topology);
  if (!cpus.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--worker-cpus: ", cpus.status().message()));
  }
  const auto threads = static_cast<int32_t>(cpus->front().size());
  if (options.threads_per_worker.value_or(threads) != threads) {
    return absl::InvalidArgumentError(absl::StrCat("--worker-cpus gives each rank ", threads,
                                                   " CPUs, --threads-per-worker is ",
                                                   *options.threads_per_worker));
  }
  WorkerPlacement placement{.threads = threads, .cpus = *std::move(cpus), .spin_limits = {}};
  placement.spin_limits = ChooseSpinLimits(usable_cores, options.tensor_parallel_size, threads);
  // What is left beside these CPUs may be another instance's.
  placement.spin_limits.for_steps = kCautiousSpin;
  return placement;
}

}  // namespace

absl::StatusOr<WorkerPlacement> PlaceWorkers(const EngineOptions& options,
                                             const CpuTopology& topology, int32_t usable_cores) {
  const int32_t ranks = options.tensor_parallel_size;
  if (options.worker_cpus != kAutoCpus && options.worker_cpus != kAnyCpus) {
    return PlaceOnLists(options, topology, usable_cores);
  }
  WorkerPlacement placement;
  placement.threads = options.threads_per_worker.value_or(std::max(1, usable_cores / ranks));
  placement.spin_limits = ChooseSpinLimits(usable_cores, ranks, placement.threads);
  const bool ours =
      !options.threads_per_worker.has_value() || ranks * placement.threads == topology.cpu_count();
  if (options.worker_cpus == kAutoCpus && options.device == "cpu" && ours) {
    auto placed = PlaceInstances(topology, /*instances=*/1, ranks, placement.threads);
    if (!placed.empty()) placement.cpus = std::move(placed.front());
  }
  return placement;
}

}  // namespace vallm::engine
