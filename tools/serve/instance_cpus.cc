#include "tools/serve/instance_cpus.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/usable_cores.h"
#include "engine_service/device/create_device.h"
#include "engine_service/executor/cpu_topology.h"
#include "engine_service/executor/placement.h"
#include "engine_service/worker_placement.h"

namespace vallm::tools {
namespace {

bool HasLists(const engine::EngineOptions& options) {
  return options.worker_cpus != engine::kAutoCpus && options.worker_cpus != engine::kAnyCpus;
}

}  // namespace

std::optional<int32_t> ThreadsPerWorker(const ServeOptions& options) {
  const engine::EngineOptions& o = options.engine;
  if (o.threads_per_worker.has_value() || options.instances == 1 ||
      o.device == engine::kMockDevice) {
    return o.threads_per_worker;
  }
  const int workers = options.instances * o.tensor_parallel_size;
  return std::max(1, UsableCores() / workers);
}

absl::Status CheckWorkerCpus(const ServeOptions& options) {
  if (!HasLists(options.engine)) return absl::OkStatus();
  const auto cpus = engine::ParseRankCpus(options.engine.worker_cpus,
                                          options.instances * options.engine.tensor_parallel_size,
                                          engine::ReadCpuTopology());
  if (cpus.ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--worker-cpus: ", cpus.status().message(), " (of all instances together)"));
}

std::string WorkerCpus(const ServeOptions& options, int instance) {
  const engine::EngineOptions& o = options.engine;
  if (HasLists(o)) {
    const std::vector<std::string> lists = absl::StrSplit(o.worker_cpus, '|');
    const auto begin = lists.begin() + ptrdiff_t{instance} * o.tensor_parallel_size;
    return absl::StrJoin(begin, begin + o.tensor_parallel_size, "|");
  }
  if (options.instances == 1 || o.worker_cpus == engine::kAnyCpus || o.device != "cpu") {
    return o.worker_cpus;
  }
  // As PlaceWorkers decides for one instance.
  const int32_t threads = ThreadsPerWorker(options).value_or(1);
  const engine::CpuTopology topology = engine::ReadCpuTopology();
  const bool ours = !o.threads_per_worker.has_value() ||
                    options.instances * o.tensor_parallel_size * threads == topology.cpu_count();
  const auto placed =
      engine::PlaceInstances(topology, options.instances, o.tensor_parallel_size, threads);
  if (!ours || placed.empty()) return engine::kAnyCpus;
  return engine::FormatRankCpus(placed[static_cast<size_t>(instance)]);
}

}  // namespace vallm::tools
