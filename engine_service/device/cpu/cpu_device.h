// The Device of plain CPUs: f32 activations, weights of every WeightType, kernels chosen at
// start-up.
//
// Instruction sets of one arithmetic (isa.h) give the same bits. Work is spread over the device's
// own threads; small operations run on the calling thread alone, which also takes part in large
// ones.
#ifndef VALLM_ENGINE_SERVICE_DEVICE_CPU_CPU_DEVICE_H_
#define VALLM_ENGINE_SERVICE_DEVICE_CPU_CPU_DEVICE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "engine_service/device/cpu/isa.h"
#include "engine_service/device/device.h"

namespace vallm::engine {

struct CpuDeviceOptions {
  int32_t threads = 1;               // the calling thread included; >= 1
  std::vector<int32_t> pin_to = {};  // CPUs for the device's threads in order, the caller's not
                                     // included; empty: not pinned, else threads - 1 entries
  std::optional<Isa> isa = std::nullopt;  // empty: the best that this machine has
};

// Errors: INVALID_ARGUMENT (threads < 1, pin_to of the wrong size, a CPU that cannot be pinned to),
// UNIMPLEMENTED (an instruction set that this machine or build lacks).
absl::StatusOr<std::unique_ptr<Device>> CreateCpuDevice(const CpuDeviceOptions& options);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_DEVICE_CPU_CPU_DEVICE_H_
