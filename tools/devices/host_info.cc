#include "tools/devices/host_info.h"

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace vallm::tools {
namespace {

namespace fs = std::filesystem;

// The value of the first line that begins with one of `keys` (x86 says "model name", arm64 mostly
// nothing but the numbers of implementer and part).
std::string CpuModel(const fs::path& root) {
  std::ifstream file(root / "proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const absl::string_view key =
        absl::StripAsciiWhitespace(absl::string_view(line).substr(0, colon));
    if (key == "model name" || key == "Model" || key == "Hardware") {
      return std::string(absl::StripAsciiWhitespace(absl::string_view(line).substr(colon + 1)));
    }
  }
  return "unknown";
}

// "Name:  123 kB", or with "Node 0 " in front; -1: no such line.
int64_t Meminfo(const fs::path& path, const std::string& name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const size_t at = line.find(name + ":");
    long long kib = 0;
    if (at != std::string::npos &&
        std::sscanf(line.c_str() + at + name.size() + 1, "%lld kB", &kib) == 1) {
      return kib * 1024;
    }
  }
  return -1;
}

std::vector<NumaNode> NumaNodes(const fs::path& root) {
  std::vector<NumaNode> nodes;
  std::error_code error;
  fs::directory_iterator entry(root / "sys/devices/system/node", error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    NumaNode node;
    if (!absl::StartsWith(name, "node") || !absl::SimpleAtoi(name.substr(4), &node.id)) continue;
    std::ifstream(entry->path() / "cpulist") >> node.cpus;
    node.memory_bytes = Meminfo(entry->path() / "meminfo", "MemTotal");
    nodes.push_back(std::move(node));
  }
  std::sort(nodes.begin(), nodes.end(),
            [](const NumaNode& a, const NumaNode& b) { return a.id < b.id; });
  return nodes;
}

}  // namespace

HostInfo ReadHostInfo(const fs::path& root) {
  return {.model = CpuModel(root),
          .memory_total_bytes = Meminfo(root / "proc/meminfo", "MemTotal"),
          .memory_free_bytes = Meminfo(root / "proc/meminfo", "MemAvailable"),
          .numa_nodes = NumaNodes(root)};
}

}  // namespace vallm::tools
