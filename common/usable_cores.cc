#include "common/usable_cores.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <thread>

namespace vallm {
namespace {

namespace fs = std::filesystem;

// In microseconds; quota < 0 and absent numbers: no limit.
std::optional<int> WholeCores(double quota, double period) {
  if (!(quota > 0) || !(period > 0)) return std::nullopt;
  return std::max(1, static_cast<int>(quota / period));
}

// cpu.max of version 2 holds "max 100000" or "250000 100000".
std::optional<int> QuotaV2(const fs::path& group) {
  double quota = -1;
  double period = -1;
  std::ifstream(group / "cpu.max") >> quota >> period;
  return WholeCores(quota, period);
}

std::optional<int> QuotaV1(const fs::path& group) {
  double quota = -1;
  double period = -1;
  std::ifstream(group / "cpu.cfs_quota_us") >> quota;
  std::ifstream(group / "cpu.cfs_period_us") >> period;
  return WholeCores(quota, period);
}

void Lower(std::optional<int>& least, std::optional<int> value) {
  if (value) least = std::min(least.value_or(*value), *value);
}

// The limits of a group and of all above it count. Inside a container the path may be the host's:
// what it names does not exist then, and the mount itself is the container's group.
template <typename Quota>
void LowerAlong(const fs::path& mount, const std::string& path, Quota quota,
                std::optional<int>& least) {
  for (fs::path group = mount / fs::path(path).relative_path();; group = group.parent_path()) {
    Lower(least, quota(group));
    if (group == mount || group.empty() || group == group.root_path()) return;
  }
}

bool Names(const std::string& controllers, const std::string& wanted) {
  return ("," + controllers + ",").find("," + wanted + ",") != std::string::npos;
}

}  // namespace

std::optional<int> CpuQuotaCores(const fs::path& root) {
  std::optional<int> least;
  std::ifstream groups(root / "proc/self/cgroup");
  const fs::path mounts = root / "sys/fs/cgroup";
  for (std::string line; std::getline(groups, line);) {  // id:controllers:path
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::string path = line.substr(second + 1);
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    if (path == "/") path.clear();
    if (controllers.empty()) {
      LowerAlong(mounts, path, QuotaV2, least);
    } else if (Names(controllers, "cpu")) {
      LowerAlong(mounts / controllers, path, QuotaV1, least);
      LowerAlong(mounts / "cpu", path, QuotaV1, least);
    }
  }
  return least;
}

int UsableCores() {
  cpu_set_t mask;
  const int allowed = ::sched_getaffinity(0, sizeof(mask), &mask) == 0
                          ? CPU_COUNT(&mask)
                          : static_cast<int>(std::thread::hardware_concurrency());
  return std::max(1, std::min(allowed, CpuQuotaCores().value_or(allowed)));
}

}  // namespace vallm
