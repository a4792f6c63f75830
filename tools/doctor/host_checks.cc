#include "tools/doctor/host_checks.h"

#include <sys/resource.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/usable_cores.h"
#include "engine_service/device/create_device.h"
#include "engine_service/device/vacc/vacc_plugin.h"
#include "engine_service/device/vacc/visible_dies.h"
#include "engine_service/engine_setup.h"
#include "engine_service/model/checkpoint.h"
#include "engine_service/model/config.h"
#include "engine_service/model/kv_cache.h"
#include "tools/devices/host_info.h"
#include "tools/doctor/size_text.h"
#include "tools/serve/instance_cpus.h"
#include "tools/serve/ports.h"

namespace vallm::tools {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kGiB = int64_t{1} << 30;
// Beside weights and pools: activations, the other processes, the system.
constexpr double kMemoryMargin = 1.1;
// A process of ours: its programs, threads and messages.
constexpr int64_t kMemoryPerInstance = int64_t{200} << 20;

std::string ReadText(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return std::string(absl::StripAsciiWhitespace(text.str()));
}

void CheckMemory(const ServeOptions& options, const HostQuestion& question, Findings& findings) {
  if (options.engine.device != engine::kCpuDevice) return;  // dies have their own
  const MemoryNeed need = ExpectedMemory(options);
  const int64_t usable = UsableMemory(question.root);
  if (usable < 0 || need.weight_bytes == 0) return;
  const int64_t there = usable + question.held_memory_bytes;
  const auto total = [&](int64_t instances, int64_t kv_bytes) {
    return static_cast<int64_t>(
        kMemoryMargin * static_cast<double>(instances * (need.weight_bytes + kv_bytes)) +
        static_cast<double>(instances * kMemoryPerInstance));
  };
  const int64_t wanted = total(options.instances, need.kv_bytes);
  Finding finding{
      .check = "memory",
      .detail = absl::StrCat(options.instances, " x (", SizeText(need.weight_bytes), " weights + ",
                             SizeText(need.kv_bytes), " KV pool) of ", SizeText(there))};
  if (wanted > there) {
    finding.verdict = Verdict::kFail;
    int fitting = 0;
    while (fitting < options.instances && total(fitting + 1, need.kv_bytes) <= there) ++fitting;
    finding.remedy =
        total(options.instances, 0) > there
            ? absl::StrCat("the weights alone do not fit: --instance ", fitting,
                           fitting == 0 ? " is all there is room for: a smaller or "
                                          "quantised model"
                                        : "")
            : absl::StrCat(fitting > 0 ? absl::StrCat("--instance ", fitting, ", ") : "",
                           "a smaller --kv-cache-memory (it is for each instance) or "
                           "--kv-cache-dtype bfloat16");
  } else if (wanted > there / 10 * 9) {
    finding.verdict = Verdict::kWarn;
    finding.remedy = "little is left for anything else: lower --kv-cache-memory";
  }
  findings.push_back(std::move(finding));
}

void CheckDisk(const HostQuestion& question, Findings& findings) {
  if (question.log_dir.empty()) return;
  std::error_code error;
  fs::path existing = question.log_dir;
  while (!fs::exists(existing, error) && existing.has_parent_path() &&
         existing != existing.parent_path()) {
    existing = existing.parent_path();
  }
  const fs::space_info space = fs::space(existing, error);
  if (error) {
    findings.push_back({.check = "disk",
                        .verdict = Verdict::kFail,
                        .detail = absl::StrCat(question.log_dir, ": ", error.message()),
                        .remedy = "choose another directory with --log-dir or --state-dir"});
    return;
  }
  const auto free = static_cast<int64_t>(space.available);
  Finding finding{.check = "disk",
                  .detail = absl::StrCat(SizeText(free), " free for logs in ", existing.string())};
  constexpr int64_t kLeast = int64_t{64} << 20;
  if (free < kLeast) {
    finding.verdict = Verdict::kFail;
    finding.remedy = "free some, or choose another directory with --log-dir or --state-dir";
  } else if (free < question.log_bytes) {
    finding.verdict = Verdict::kWarn;
    finding.remedy = absl::StrCat("logs may grow to ", SizeText(question.log_bytes),
                                  ": lower --log-max-mib or --log-keep");
  }
  findings.push_back(std::move(finding));
}

void CheckCores(const ServeOptions& options, Findings& findings) {
  if (options.engine.device != engine::kCpuDevice) return;
  const int cores = UsableCores();
  const int workers = options.instances * options.engine.tensor_parallel_size;
  Finding finding{.check = "cores",
                  .detail = absl::StrCat(workers, workers == 1 ? " worker" : " workers", " on ",
                                         cores, cores == 1 ? " core" : " cores")};
  if (workers > cores) {
    finding.verdict = Verdict::kWarn;
    finding.remedy =
        "workers wait for one another in every layer: fewer instances or a smaller "
        "--tensor-parallel-size is faster";
  }
  findings.push_back(std::move(finding));
}

void CheckUlimits(const ServeOptions& options, Findings& findings) {
  rlimit files = {};
  getrlimit(RLIMIT_NOFILE, &files);
  // A connection is a descriptor; so are files, pipes and gRPC's own.
  constexpr rlim_t kWanted = 4096;
  Finding finding{.check = "ulimit -n",
                  .detail = absl::StrCat(static_cast<int64_t>(files.rlim_cur), " open files")};
  if (files.rlim_cur < 256) {
    finding.verdict = Verdict::kFail;
  } else if (files.rlim_cur < kWanted) {
    finding.verdict = Verdict::kWarn;
  }
  if (finding.verdict != Verdict::kPass) {
    finding.remedy =
        absl::StrCat("the gateway holds up to ", 1024 + 256, " connections: ulimit -n ",
                     int64_t{kWanted}, ", or LimitNOFILE= in a unit");
  }
  findings.push_back(std::move(finding));
  rlimit processes = {};
  getrlimit(RLIMIT_NPROC, &processes);
  const auto threads = static_cast<rlim_t>(
      200 + 1300 + options.instances * (64 + 16 * options.engine.tensor_parallel_size));
  if (processes.rlim_cur < threads) {
    findings.push_back(
        {.check = "ulimit -u",
         .verdict = Verdict::kWarn,
         .detail = absl::StrCat(static_cast<int64_t>(processes.rlim_cur), " processes and threads"),
         .remedy = absl::StrCat("under full load about ", static_cast<int64_t>(threads),
                                " threads run: ulimit -u, or TasksMax= in a unit")});
  }
}

void CheckKernel(const ServeOptions& options, const HostQuestion& question, Findings& findings) {
  const bool dies = options.engine.device == engine::kVaccDevice;
  std::error_code error;
  const std::string command_line = ReadText(question.root / "proc/cmdline");
  const fs::path groups = question.root / "sys/kernel/iommu_groups";
  bool iommu = fs::exists(groups, error) && !fs::is_empty(groups, error);
  for (const char* word : {"intel_iommu=on", "amd_iommu=on", "iommu=on"}) {
    iommu |= absl::StrContains(command_line, word);
  }
  Finding finding{.check = "IOMMU", .detail = iommu ? "on" : "off"};
  if (iommu && dies) {
    finding.verdict = Verdict::kFail;
    finding.remedy =
        "the driver of the dies wants it off: iommu=off intel_iommu=off amd_iommu=off "
        "on the kernel's command line, and VT-d off in the firmware";
  } else if (iommu) {
    finding.detail += ", which only matters for VACC dies";
  }
  findings.push_back(std::move(finding));

  struct statvfs shm = {};
  const fs::path shm_path = question.root / "dev/shm";
  if (statvfs(shm_path.c_str(), &shm) == 0) {
    const auto size = static_cast<int64_t>(shm.f_blocks * shm.f_frsize);
    Finding space{.check = "/dev/shm", .detail = SizeText(size)};
    // Our own shared memory has no name and is not bound by it; a vendor's runtime may use it.
    if (dies && size < 64 * kGiB) {
      space.verdict = Verdict::kWarn;
      space.remedy =
          "the vendor's containers have 64 GiB: --shm-size, or mount -o remount,size=64g "
          "/dev/shm";
    } else {
      space.detail += ", not used by vallm itself";
    }
    findings.push_back(std::move(space));
  }
  const std::string thp = ReadText(question.root / "sys/kernel/mm/transparent_hugepage/enabled");
  if (!thp.empty() && options.engine.device == engine::kCpuDevice) {
    Finding pages{.check = "huge pages", .detail = thp};
    if (absl::StrContains(thp, "[never]")) {
      pages.verdict = Verdict::kWarn;
      pages.remedy =
          "weights are read faster through them: echo madvise > "
          "/sys/kernel/mm/transparent_hugepage/enabled";
    }
    findings.push_back(std::move(pages));
  }
  if (ReadText(question.root / "proc/sys/vm/overcommit_memory") == "2") {
    findings.push_back({.check = "overcommit",
                        .verdict = Verdict::kWarn,
                        .detail = "vm.overcommit_memory=2",
                        .remedy = "threads reserve stacks that they do not use: sysctl "
                                  "vm.overcommit_memory=0"});
  }
}

}  // namespace

int64_t UsableMemory(const fs::path& root) {
  int64_t usable = ReadHostInfo(root).memory_free_bytes;
  const auto bound = [&usable](const std::string& limit, const std::string& used) {
    int64_t most = 0;
    int64_t now = 0;
    if (!absl::SimpleAtoi(limit, &most) || !absl::SimpleAtoi(used, &now)) return;
    if (usable < 0 || most - now < usable) usable = std::max<int64_t>(most - now, 0);
  };
  const fs::path two = root / "sys/fs/cgroup";
  const fs::path one = two / "memory";
  bound(ReadText(two / "memory.max"), ReadText(two / "memory.current"));
  // Page cache counts as used there and can be had: leave it to the limit where it is version 1.
  bound(ReadText(one / "memory.limit_in_bytes"), "0");
  return usable;
}

MemoryNeed ExpectedMemory(const ServeOptions& options) {
  MemoryNeed need;
  const auto checkpoint = engine::Checkpoint::Open(options.engine.model_dir);
  engine::EngineOptions first = options.engine;
  first.worker_cpus = WorkerCpus(options, /*instance=*/0);
  first.threads_per_worker = ThreadsPerWorker(options);
  const auto setup = engine::PrepareEngine(first);
  const auto config = engine::LoadModelConfig(options.engine.model_dir);
  const auto type = engine::KvTypeByName(options.engine.kv_cache_dtype);
  const auto plan = engine::PlanDevice(options.engine.device, options.engine.tensor_parallel_size,
                                       options.engine.cpu_isa);
  if (!checkpoint.ok() || !setup.ok() || !config.ok() || !type.ok() || !plan.ok()) return need;
  const engine::ShardSpec spec{.rank = 0, .size = options.engine.tensor_parallel_size};
  const auto block = engine::KvCache::BytesPerBlock(*plan->kind, *config, spec, *type);
  if (!block.ok()) return need;
  need.weight_bytes = (*checkpoint)->total_bytes();
  need.kv_bytes = *block * spec.size * setup->scheduler.num_kv_blocks;
  return need;
}

void CheckPorts(const ServeOptions& options, const HostQuestion& question, Findings& findings) {
  std::vector<std::string> ports;
  const auto check = [&](const char* flag, const std::string& host, int port) {
    ports.push_back(absl::StrCat(port));
    if (port == 0 || question.held_ports.count(port) > 0) return;
    const absl::Status status = CheckPortFree(host, port);
    if (status.ok()) return;
    findings.push_back(Failure(
        "ports", absl::Status(status.code(), absl::StrCat(flag, ": ", status.message())),
        absl::StrCat("choose another one with ", flag, ", or stop what listens there (ss -ltnp)")));
  };
  const size_t before = findings.size();
  check("--port", options.host, options.port);
  check("--management-port", options.host, options.management_port);
  if (options.port == options.management_port) {
    findings.push_back(
        {.check = "ports",
         .verdict = Verdict::kFail,
         .detail = absl::StrCat("--port and --management-port are both ", options.port),
         .remedy = "give them different ports"});
  }
  if (findings.size() == before) {
    const bool held = question.held_ports.count(options.port) +
                          question.held_ports.count(options.management_port) >
                      0;
    findings.push_back(
        {.check = "ports",
         .detail = absl::StrJoin(ports, ", ") + (held ? " are this deployment's" : " are free")});
  }
}

void CheckDevices(const ServeOptions& options, Findings& findings) {
  const int needed = options.instances * options.engine.tensor_parallel_size;
  const std::string arithmetic =
      absl::StrCat(options.instances, options.instances == 1 ? " instance x " : " instances x ",
                   options.engine.tensor_parallel_size, " = ", needed);
  if (options.engine.device != engine::kVaccDevice) {
    findings.push_back({.check = "devices",
                        .detail = absl::StrCat(options.engine.device, ", ", arithmetic,
                                               needed == 1 ? " worker" : " workers")});
    return;
  }
  const auto variable = engine::VisibleDiesFromEnvironment();
  const auto plugin = engine::VaccPlugin::Find();
  if (!plugin.ok()) {
    findings.push_back(Failure("devices", plugin.status(), "or run on processors: --device cpu"));
    return;
  }
  const auto count = (*plugin)->DieCount();
  const auto dies = count.ok() ? engine::VisibleDies(variable, *count)
                               : absl::StatusOr<std::vector<int32_t>>(count.status());
  if (!dies.ok()) {
    findings.push_back(Failure("devices", dies.status(),
                               count.ok() ? absl::StrCat("this machine has dies 0 to ", *count - 1,
                                                         ": `vallm devices` "
                                                         "lists them; correct --devices")
                                          : "see `vallm devices` and the driver's log"));
    return;
  }
  if (static_cast<int>(dies->size()) < needed) {
    findings.push_back(
        {.check = "devices",
         .verdict = Verdict::kFail,
         .detail = absl::StrCat(arithmetic, " dies are needed, ", dies->size(), " may be used",
                                variable.has_value() ? absl::StrCat(" (", *variable, ")") : ""),
         .remedy = "name more with --devices, or lower --instance or --tensor-parallel-size"});
    return;
  }
  const std::vector<int32_t> used(dies->begin(), dies->begin() + needed);
  Finding finding{.check = "devices",
                  .detail = absl::StrCat(arithmetic, " dies: ", engine::FormatDies(used))};
  for (int32_t die : used) {
    const auto info = (*plugin)->Die(die);
    const int health = info.ok() ? info->health : VALLM_HEALTH_FAILED;
    if (health != VALLM_HEALTH_FAILED && health != VALLM_HEALTH_WARNING) continue;
    const Verdict verdict = health == VALLM_HEALTH_FAILED ? Verdict::kFail : Verdict::kWarn;
    finding.verdict = std::max(finding.verdict, verdict);
    absl::StrAppend(
        &finding.detail, "; die ", die, " ",
        verdict == Verdict::kFail ? "has failed" : "has a warning",
        info.ok() && !info->health_text.empty() ? absl::StrCat(" (", info->health_text, ")") : "");
    finding.remedy = "leave it out of --devices, or reset its card with the vendor's tool";
  }
  findings.push_back(std::move(finding));
}

void CheckHost(const ServeOptions& options, const HostQuestion& question, Findings& findings) {
  CheckDevices(options, findings);
  CheckMemory(options, question, findings);
  CheckDisk(question, findings);
  CheckPorts(options, question, findings);
  CheckCores(options, findings);
  CheckUlimits(options, findings);
  CheckKernel(options, question, findings);
}

}  // namespace vallm::tools
