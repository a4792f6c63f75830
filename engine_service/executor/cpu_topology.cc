#include "engine_service/executor/cpu_topology.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/strings.h"
#include "common/usable_cores.h"

namespace vallm::engine {
namespace {

namespace fs = std::filesystem;

constexpr int32_t kMostCpus = 1 << 16;
// <numaif.h> belongs to libnuma; the numbers are the kernel's.
constexpr int kMpolPreferred = 1;
constexpr int32_t kMostNodes = 1024;

std::string FirstLine(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// Several siblings share a core; the first of them stands for it.
bool IsFirstThread(const fs::path& root, int32_t cpu) {
  const fs::path topology = root / "sys/devices/system/cpu" / absl::StrCat("cpu", cpu) / "topology";
  const auto siblings = ParseCpuList(FirstLine(topology / "thread_siblings_list"));
  return !siblings.ok() || siblings->empty() || siblings->front() == cpu;
}

std::map<int32_t, int32_t> NodesOfCpus(const fs::path& root) {
  std::map<int32_t, int32_t> nodes;
  std::error_code error;
  for (fs::directory_iterator it(root / "sys/devices/system/node", error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    int32_t id = -1;
    if (name.rfind("node", 0) != 0 || !absl::SimpleAtoi(name.substr(4), &id)) continue;
    const auto cpus = ParseCpuList(FirstLine(it->path() / "cpulist"));
    if (!cpus.ok()) continue;
    for (const int32_t cpu : *cpus) nodes[cpu] = id;
  }
  return nodes;
}

std::vector<int32_t> AllowedCpus() {
  std::vector<int32_t> allowed;
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof(mask), &mask) != 0) return allowed;
  for (int32_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &mask)) allowed.push_back(cpu);
  }
  return allowed;
}

}  // namespace

int32_t CpuTopology::cpu_count() const {
  size_t count = 0;
  for (const CpuNode& node : nodes) count += node.cpus.size();
  return static_cast<int32_t>(count);
}

int32_t CpuTopology::NodeOf(int32_t cpu) const {
  for (const CpuNode& node : nodes) {
    if (std::find(node.cpus.begin(), node.cpus.end(), cpu) != node.cpus.end()) return node.id;
  }
  return -1;
}

CpuTopology ReadCpuTopology(const fs::path& root, const std::vector<int32_t>& allowed) {
  const std::map<int32_t, int32_t> node_of = NodesOfCpus(root);
  std::map<int32_t, CpuNode> nodes;
  for (const bool first_threads : {true, false}) {
    for (const int32_t cpu : allowed) {
      if (IsFirstThread(root, cpu) != first_threads) continue;
      const auto found = node_of.find(cpu);
      const int32_t id = found == node_of.end() ? 0 : found->second;
      nodes[id].id = id;
      nodes[id].cpus.push_back(cpu);
    }
  }
  CpuTopology topology;
  for (auto& [id, node] : nodes) topology.nodes.push_back(std::move(node));
  return topology;
}

CpuTopology ReadCpuTopology(const fs::path& root) {
  CpuTopology topology = ReadCpuTopology(root, AllowedCpus());
  const std::optional<int> quota = CpuQuotaCores(root);
  topology.shared = quota.has_value() && *quota < topology.cpu_count();
  return topology;
}

int32_t NumaNodes(const fs::path& root) {
  std::set<int32_t> ids;
  for (const auto& [cpu, node] : NodesOfCpus(root)) ids.insert(node);
  return std::max(1, static_cast<int32_t>(ids.size()));
}

absl::StatusOr<std::vector<int32_t>> ParseCpuList(std::string_view text) {
  const auto invalid = [&] {
    return absl::InvalidArgumentError(
        absl::StrCat("'", ToAbsl(text), "' is not a list of CPUs like 0-3,8"));
  };
  std::vector<int32_t> cpus;
  for (const absl::string_view part : absl::StrSplit(ToAbsl(text), ',')) {
    const std::vector<absl::string_view> ends = absl::StrSplit(part, '-');
    int32_t first = 0;
    if (ends.size() > 2 || !absl::SimpleAtoi(ends.front(), &first)) return invalid();
    int32_t last = first;
    if (ends.size() == 2 && !absl::SimpleAtoi(ends.back(), &last)) return invalid();
    if (first < 0 || last < first || last >= kMostCpus) return invalid();
    for (int32_t cpu = first; cpu <= last; ++cpu) cpus.push_back(cpu);
  }
  std::sort(cpus.begin(), cpus.end());
  if (std::adjacent_find(cpus.begin(), cpus.end()) != cpus.end()) return invalid();
  return cpus;
}

std::string FormatCpuList(std::vector<int32_t> cpus) {
  std::sort(cpus.begin(), cpus.end());
  std::string text;
  for (size_t begin = 0; begin < cpus.size();) {
    size_t end = begin + 1;
    while (end < cpus.size() && cpus[end] == cpus[end - 1] + 1) ++end;
    absl::StrAppend(&text, text.empty() ? "" : ",", cpus[begin]);
    if (end - begin > 1) absl::StrAppend(&text, "-", cpus[end - 1]);
    begin = end;
  }
  return text;
}

absl::Status PreferMemoryOf(int32_t node) {
  constexpr int32_t kWordBits = 8 * sizeof(unsigned long);
  if (node < 0 || node >= kMostNodes) {
    return absl::InvalidArgumentError(absl::StrCat("there is no NUMA node ", node));
  }
  unsigned long mask[kMostNodes / kWordBits] = {};
  mask[node / kWordBits] = 1ul << (node % kWordBits);
  if (syscall(SYS_set_mempolicy, kMpolPreferred, mask, kMostNodes) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot take memory of NUMA node ", node));
}

absl::Status RunOnCpus(const std::vector<int32_t>& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int32_t cpu : cpus) {
    if (cpu >= 0 && cpu < CPU_SETSIZE) CPU_SET(cpu, &set);
  }
  if (sched_setaffinity(0, sizeof(set), &set) == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("this process may use none of the CPUs ", FormatCpuList(cpus)));
}

}  // namespace vallm::engine
