// Devices and cache types by the names that flags give them.
#ifndef VALLM_ENGINE_SERVICE_DEVICE_CREATE_DEVICE_H_
#define VALLM_ENGINE_SERVICE_DEVICE_CREATE_DEVICE_H_

#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine_service/device/device.h"

namespace vallm::engine {

// Not a device: workers that compute nothing, for tests and measurements (worker/mock_runner.h).
inline constexpr char kMockDevice[] = "mock";

// Whether this build can create that device. Errors: UNIMPLEMENTED (it cannot; says what it would
// take), INVALID_ARGUMENT (no such device).
absl::Status CheckDeviceName(std::string_view name);

// `threads` is for devices that compute on the host. Errors: as above and the device's own.
absl::StatusOr<std::unique_ptr<Device>> CreateDevice(std::string_view name, int32_t threads);

// "auto" (what is exact), "float32", "bfloat16", "fp8" or, the same, "fp8_e4m3". Errors:
// INVALID_ARGUMENT (none of them).
absl::StatusOr<KvType> KvTypeByName(std::string_view name);
// The other way round, never "auto".
std::string_view KvTypeName(KvType type);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_DEVICE_CREATE_DEVICE_H_
