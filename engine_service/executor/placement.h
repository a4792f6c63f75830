// Which worker runs on which CPUs: disjoint sets per rank and per instance, on one NUMA node each
// as far as nodes are large enough. Pure.
#ifndef VALLM_ENGINE_SERVICE_EXECUTOR_PLACEMENT_H_
#define VALLM_ENGINE_SERVICE_EXECUTOR_PLACEMENT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "engine_service/executor/cpu_topology.h"

namespace vallm::engine {

// The CPUs of the ranks of one instance, in the order of ranks. Empty: not bound to any.
using RankCpus = std::vector<std::vector<int32_t>>;

// CPUs for `instances` groups of `ranks` workers with `threads` threads each.
//
// One instance spreads its ranks over the nodes, for the bandwidth of all of them; of several, each
// gets a node of its own where it fits, since its ranks talk to one another. A rank that no node
// can hold gets CPUs of several. Returns nothing where there are not enough CPUs for all, or others
// share them: then workers are better left to the kernel. REQUIRES: all counts >= 1.
std::vector<RankCpus> PlaceInstances(const CpuTopology& topology, int32_t instances, int32_t ranks,
                                     int32_t threads);

// The value of --worker-cpus for `cpus`: lists of CPUs, a rank each, with '|' between them.
std::string FormatRankCpus(const RankCpus& cpus);

// The other way round. Errors: INVALID_ARGUMENT (not `ranks` lists; a CPU twice, or one that is not
// in `topology`; lists of different lengths).
absl::StatusOr<RankCpus> ParseRankCpus(std::string_view text, int32_t ranks,
                                       const CpuTopology& topology);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_EXECUTOR_PLACEMENT_H_
