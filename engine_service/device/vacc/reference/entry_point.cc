// The one symbol that libvallm_vacc_cpu.so exports.
#include "engine_service/device/vacc/reference/cpu_plugin.h"

const vallm_vacc_api* vallm_vacc_plugin(uint32_t host_abi_major, uint32_t /*host_abi_minor*/) {
  return host_abi_major == VALLM_VACC_ABI_MAJOR ? &vallm::engine::CpuPluginTable() : nullptr;
}
