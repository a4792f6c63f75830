// What the host's processors and memory are, as far as Linux tells.
#ifndef VALLM_TOOLS_DEVICES_HOST_INFO_H_
#define VALLM_TOOLS_DEVICES_HOST_INFO_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace vallm::tools {

struct NumaNode {
  int id = 0;
  std::string cpus;  // as the kernel writes it, e.g. "0-15,32-47"
  int64_t memory_bytes = -1;
};

struct HostInfo {
  std::string model;  // of the processor; "unknown" where nothing says
  int64_t memory_total_bytes = -1;
  int64_t memory_free_bytes = -1;  // that can be had without swapping
  std::vector<NumaNode> numa_nodes;
};

// `root` stands before /proc and /sys.
HostInfo ReadHostInfo(const std::filesystem::path& root = "/");

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DEVICES_HOST_INFO_H_
