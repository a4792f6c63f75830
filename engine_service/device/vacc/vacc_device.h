// A die behind a plug-in as a Device: every operation is one call of the plug-in's table.
//
// Once the plug-in says that the device is lost (UNAVAILABLE) or broken (INTERNAL), nothing but the
// freeing of memory reaches it any more: every later operation fails with the first error.
#ifndef VALLM_ENGINE_SERVICE_DEVICE_VACC_VACC_DEVICE_H_
#define VALLM_ENGINE_SERVICE_DEVICE_VACC_VACC_DEVICE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine_service/device/device.h"
#include "engine_service/device/vacc/vacc_plugin.h"

namespace vallm::engine {

struct VaccDeviceOptions {
  std::vector<int32_t> dies = {0};  // of every rank of the group
  int32_t rank = 0;                 // in [0, dies.size())
  int32_t host_threads = 1;         // >= 1
};

// A Device, and the plug-in's fault injection for tests.
class VaccDevice : public Device {
 public:
  // `fault` is one of VALLM_FAULT_…. Errors: UNIMPLEMENTED (the plug-in has no inject_fault), the
  // plug-in's.
  virtual absl::Status InjectFault(int32_t fault, int64_t after) = 0;
};

// Errors: INVALID_ARGUMENT (options out of range), the plug-in's.
absl::StatusOr<std::unique_ptr<VaccDevice>> OpenVaccDevice(std::shared_ptr<const VaccPlugin> plugin,
                                                           const VaccDeviceOptions& options);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_DEVICE_VACC_VACC_DEVICE_H_
