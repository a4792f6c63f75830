// The CPUs that this process may run on, by NUMA node. Read from /sys and the affinity mask; a
// kernel that says nothing of nodes has one.
#ifndef VALLM_ENGINE_SERVICE_EXECUTOR_CPU_TOPOLOGY_H_
#define VALLM_ENGINE_SERVICE_EXECUTOR_CPU_TOPOLOGY_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vallm::engine {

struct CpuNode {
  int32_t id = 0;
  // One CPU of every core first, then the cores' further threads: the first n are the best n.
  std::vector<int32_t> cpus;

  bool operator==(const CpuNode&) const = default;
};

struct CpuTopology {
  std::vector<CpuNode> nodes;  // those with CPUs that may be used, by id
  // Whether a CPU quota allows less than the CPUs together: then others use them as well, and
  // nobody knows which.
  bool shared = false;

  int32_t cpu_count() const;
  // The node of a CPU; -1 if it is none of these.
  int32_t NodeOf(int32_t cpu) const;
};

// Of this process. `root` stands before /proc and /sys.
CpuTopology ReadCpuTopology(const std::filesystem::path& root = "/");

// The topology of `allowed` CPUs under `root`/sys.
CpuTopology ReadCpuTopology(const std::filesystem::path& root, const std::vector<int32_t>& allowed);

// How many NUMA nodes the machine has, whether this process may use them or not; at least 1.
int32_t NumaNodes(const std::filesystem::path& root = "/");

// "0-3,8" as numbers, ascending. Errors: INVALID_ARGUMENT (not such a list, or a CPU twice).
absl::StatusOr<std::vector<int32_t>> ParseCpuList(std::string_view text);
// The other way round.
std::string FormatCpuList(std::vector<int32_t> cpus);

// In a worker, before it allocates: the calling thread's memory comes from `node` as long as there
// is any. Errors: those of the kernel (containers may forbid it): go on without.
absl::Status PreferMemoryOf(int32_t node);

// The calling thread, and the threads it starts from now on, run on `cpus` alone. Errors:
// INVALID_ARGUMENT (none of them may be used).
absl::Status RunOnCpus(const std::vector<int32_t>& cpus);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_EXECUTOR_CPU_TOPOLOGY_H_
