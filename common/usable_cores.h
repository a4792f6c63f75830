// How many cores this process may keep busy: what a default number of threads must go by. The
// machine's own count misleads in a container, where a quota throttles whoever exceeds it.
#ifndef VALLM_COMMON_USABLE_CORES_H_
#define VALLM_COMMON_USABLE_CORES_H_

#include <filesystem>
#include <optional>

namespace vallm {

// The cores of the affinity mask, at most those of the CPU quota; at least 1.
int UsableCores();

// Whole cores (rounded down, at least 1) that the CPU quotas of this process's control groups, of
// either version, allow; nullopt without a quota. `root` stands before /proc and /sys.
std::optional<int> CpuQuotaCores(const std::filesystem::path& root = "/");

}  // namespace vallm

#endif  // VALLM_COMMON_USABLE_CORES_H_
