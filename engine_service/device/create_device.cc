#include "engine_service/device/create_device.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "engine_service/device/cpu/cpu_device.h"
#include "engine_service/device/vacc/vacc_device.h"
#include "engine_service/device/vacc/vacc_plugin.h"
#include "engine_service/device/vacc/visible_dies.h"

namespace vallm::engine {
namespace {

absl::Status NoSuchDevice(std::string_view name) {
  return absl::InvalidArgumentError(
      absl::StrCat("no device is called \"", ToAbsl(name), "\": use cpu, vacc or mock"));
}

absl::StatusOr<std::shared_ptr<const VaccPlugin>> FindPlugin() {
  auto plugin = VaccPlugin::Find();
  if (plugin.ok()) return plugin;
  return absl::Status(plugin.status().code(),
                      absl::StrCat("--device vacc: ", plugin.status().message()));
}

// Empty: the best there is.
absl::StatusOr<std::optional<Isa>> IsaByName(std::string_view name) {
  if (name == kBestIsa) return std::nullopt;
  for (const Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512, Isa::kAmx}) {
    if (name == IsaName(isa)) return isa;
  }
  return absl::InvalidArgumentError(absl::StrCat("--cpu-isa: no instruction set is called \"",
                                                 ToAbsl(name),
                                                 "\": use auto, portable, avx2, avx512 or amx"));
}

absl::Status CheckNoIsa(std::string_view device, std::string_view cpu_isa) {
  if (cpu_isa == kBestIsa) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--cpu-isa is for --device cpu, not for ", ToAbsl(device)));
}

// The first `ranks` of the dies that may be used.
absl::StatusOr<std::vector<int32_t>> ChooseDies(const std::optional<std::string>& variable,
                                                int32_t die_count, int32_t ranks) {
  VALLM_ASSIGN_OR_RETURN(std::vector<int32_t> dies, VisibleDies(variable, die_count));
  if (static_cast<int32_t>(dies.size()) < ranks) {
    return absl::FailedPreconditionError(absl::StrCat(
        ranks, " dies are needed, one for each rank, and ", dies.size(), " of the ", die_count,
        " of this machine may be used",
        variable.has_value() ? absl::StrCat(" (", kVisibleDiesVariable, "=", *variable, ")") : "",
        ": lower --tensor-parallel-size or --instance, or make more dies visible; `vallm devices` "
        "lists them"));
  }
  dies.resize(static_cast<size_t>(ranks));
  return dies;
}

absl::StatusOr<DevicePlan> PlanVacc(int32_t ranks) {
  // Before the plug-in is loaded, which may take the variable away.
  const std::optional<std::string> variable = VisibleDiesFromEnvironment();
  VALLM_ASSIGN_OR_RETURN(const std::shared_ptr<const VaccPlugin> plugin, FindPlugin());
  VALLM_ASSIGN_OR_RETURN(const int32_t die_count, plugin->DieCount());
  DevicePlan plan;
  plan.kind = plugin;
  VALLM_ASSIGN_OR_RETURN(plan.dies, ChooseDies(variable, die_count, ranks));
  // Shards are of one size, so the fullest die decides.
  int64_t least_free = INT64_MAX;
  for (const int32_t die : plan.dies) {
    VALLM_ASSIGN_OR_RETURN(const DieInfo info, plugin->Die(die));
    if (info.health == VALLM_HEALTH_FAILED) {
      return absl::FailedPreconditionError(
          absl::StrCat("die ", die, " has failed", info.health_text.empty() ? "" : ": ",
                       info.health_text, "; leave it out of ", kVisibleDiesVariable));
    }
    least_free = std::min(least_free, info.memory_free_bytes);
  }
  if (least_free >= 0) plan.free_bytes = least_free * ranks;
  return plan;
}

}  // namespace

absl::StatusOr<DevicePlan> PlanDevice(std::string_view name, int32_t ranks,
                                      std::string_view cpu_isa) {
  if (name != kCpuDevice) {
    if (name != kVaccDevice) return NoSuchDevice(name);
    VALLM_RETURN_IF_ERROR(CheckNoIsa(name, cpu_isa));
    return PlanVacc(ranks);
  }
  VALLM_ASSIGN_OR_RETURN(const std::optional<Isa> isa, IsaByName(cpu_isa));
  DevicePlan plan;
  VALLM_ASSIGN_OR_RETURN(plan.kind, CreateCpuDevice({.threads = 1, .pin_to = {}, .isa = isa}));
  plan.cpu_isa = std::string(IsaName(isa.value_or(AvailableIsas().back())));
  return plan;
}

absl::StatusOr<std::unique_ptr<Device>> CreateDevice(const DeviceOptions& options) {
  if (options.name == kVaccDevice) {
    VALLM_ASSIGN_OR_RETURN(std::shared_ptr<const VaccPlugin> plugin, FindPlugin());
    return OpenVaccDevice(
        std::move(plugin),
        {.dies = options.dies, .rank = options.rank, .host_threads = options.threads});
  }
  if (options.name != kCpuDevice) return NoSuchDevice(options.name);
  VALLM_ASSIGN_OR_RETURN(const std::optional<Isa> isa, IsaByName(options.cpu_isa));
  return CreateCpuDevice({.threads = options.threads, .pin_to = {}, .isa = isa});
}

absl::StatusOr<KvType> KvTypeByName(std::string_view name) {
  if (name == "auto" || name == "float32") return KvType::kF32;
  if (name == "bfloat16") return KvType::kBf16;
  if (name == "fp8" || name == "fp8_e4m3") return KvType::kF8E4m3;
  return absl::InvalidArgumentError(
      absl::StrCat("no cache type is called \"", ToAbsl(name),
                   "\": use auto, float32, bfloat16 or fp8 (fp8_e4m3)"));
}

std::string_view KvTypeName(KvType type) {
  switch (type) {
    case KvType::kBf16:
      return "bfloat16";
    case KvType::kF32:
      return "float32";
    case KvType::kF8E4m3:
      return "fp8_e4m3";
  }
  return "unknown";
}

}  // namespace vallm::engine
