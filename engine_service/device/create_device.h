// Devices and cache types by the names that flags give them.
#ifndef VALLM_ENGINE_SERVICE_DEVICE_CREATE_DEVICE_H_
#define VALLM_ENGINE_SERVICE_DEVICE_CREATE_DEVICE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine_service/device/device.h"

namespace vallm::engine {

inline constexpr char kCpuDevice[] = "cpu";
inline constexpr char kVaccDevice[] = "vacc";
// Not a device: workers that compute nothing, for tests and measurements (worker/mock_runner.h).
inline constexpr char kMockDevice[] = "mock";

// The best instruction set that the machine has.
inline constexpr char kBestIsa[] = "auto";

// What an engine knows of its devices before a worker opens one.
struct DevicePlan {
  std::shared_ptr<const DeviceKind> kind;
  std::vector<int32_t> dies;  // vacc: the die of every rank; cpu: empty
  std::string cpu_isa;        // cpu: the instruction set of the kernels, never "auto"; vacc: empty
  // vacc: device memory that is free, all ranks together, as far as the plug-in tells; cpu: absent,
  // for it is the machine's.
  std::optional<int64_t> free_bytes;
};

// Loads the plug-in if the device needs one, and gives each of `ranks` its die: rank r has the r-th
// of VACC_VISIBLE_DEVICES, without the variable die r. Opens nothing. `cpu_isa` as in
// DeviceOptions.
// Errors: INVALID_ARGUMENT (no such device or instruction set, a bad VACC_VISIBLE_DEVICES),
// UNIMPLEMENTED (an instruction set that this machine lacks), those of VaccPlugin,
// FAILED_PRECONDITION (fewer dies than ranks, a die that its plug-in calls failed).
absl::StatusOr<DevicePlan> PlanDevice(std::string_view name, int32_t ranks,
                                      std::string_view cpu_isa = kBestIsa);

struct DeviceOptions {
  std::string name = kCpuDevice;
  std::string cpu_isa = kBestIsa;  // or the name of an Isa (cpu/isa.h), for the CPU device alone
  int32_t threads = 1;             // of the host that the device may keep busy; >= 1
  std::vector<int32_t> dies = {};  // vacc: DevicePlan's
  int32_t rank = 0;
};

// The device of one rank. Errors: as PlanDevice and the device's own.
absl::StatusOr<std::unique_ptr<Device>> CreateDevice(const DeviceOptions& options);

// "auto" (what is exact), "float32", "bfloat16", "fp8" or, the same, "fp8_e4m3". Errors:
// INVALID_ARGUMENT (none of them).
absl::StatusOr<KvType> KvTypeByName(std::string_view name);
// The other way round, never "auto".
std::string_view KvTypeName(KvType type);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_DEVICE_CREATE_DEVICE_H_
