// The CPU device as a plug-in: the reference for whoever writes one, and what stands in for dies
// where there are none. A thin C face over CpuDevice, with the failures on demand that tests want.
//
// The environment it reads:
//   VALLM_VACC_CPU_DIES   how many dies it shows (16); they share the machine's cores and memory
#ifndef VALLM_ENGINE_SERVICE_DEVICE_VACC_REFERENCE_CPU_PLUGIN_H_
#define VALLM_ENGINE_SERVICE_DEVICE_VACC_REFERENCE_CPU_PLUGIN_H_

#include "engine_service/device/vacc/vallm_device_abi.h"

namespace vallm::engine {

// The table that the plug-in's entry point returns, for plug-ins of tests that change parts of it.
const vallm_vacc_api& CpuPluginTable();

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_DEVICE_VACC_REFERENCE_CPU_PLUGIN_H_
