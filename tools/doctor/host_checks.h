// What can be known of the machine before anything runs: devices, memory, disk, ports, limits and
// settings of the kernel.
#ifndef VALLM_TOOLS_DOCTOR_HOST_CHECKS_H_
#define VALLM_TOOLS_DOCTOR_HOST_CHECKS_H_

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>

#include "tools/doctor/finding.h"
#include "tools/serve/options.h"

namespace vallm::tools {

struct HostQuestion {
  std::set<int> held_ports = {};     // by what these options would replace: not checked
  std::string log_dir = {};          // a directory that exists, or will be made
  int64_t log_bytes = 0;             // that logs may grow to
  int64_t held_memory_bytes = 0;     // by what these options would replace
  std::filesystem::path root = "/";  // stands before /proc and /sys
};

// Appends a finding per check.
void CheckHost(const ServeOptions& options, const HostQuestion& question, Findings& findings);

// The part of it that is about --port and --management-port.
void CheckPorts(const ServeOptions& options, const HostQuestion& question, Findings& findings);

// Dies for all instances: enough, existing, healthy. One line where no dies are used.
void CheckDevices(const ServeOptions& options, Findings& findings);

// The memory that one instance is expected to take on device cpu, weights and KV pool; nothing
// where the model cannot be read. `kv_bytes` of it are the pool.
struct MemoryNeed {
  int64_t weight_bytes = 0;
  int64_t kv_bytes = 0;
};
MemoryNeed ExpectedMemory(const ServeOptions& options);

// Memory that can still be had here: what the kernel says, or less where a control group limits it.
// -1: unknown.
int64_t UsableMemory(const std::filesystem::path& root = "/");

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DOCTOR_HOST_CHECKS_H_
