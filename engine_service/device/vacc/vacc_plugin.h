// A plug-in that was found, loaded and checked: its table of functions, and what can be asked of it
// without opening a die.
//
// Plug-ins are never unloaded: a driver's threads may outlive any attempt. Thread-safe.
#ifndef VALLM_ENGINE_SERVICE_DEVICE_VACC_VACC_PLUGIN_H_
#define VALLM_ENGINE_SERVICE_DEVICE_VACC_VACC_PLUGIN_H_

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "engine_service/device/device.h"
#include "engine_service/device/vacc/vallm_device_abi.h"

namespace vallm::engine {

inline constexpr char kPluginVariable[] = "VALLM_VACC_PLUGIN";
inline constexpr char kPluginLibrary[] = "libvallm_vacc.so";

// vallm_die_info as values of ours. Numbers below 0 and NaN: unknown.
struct DieInfo {
  int32_t die = 0;
  std::string name;
  std::string uuid;
  int32_t health = VALLM_HEALTH_UNKNOWN;
  std::string health_text;
  int32_t card = -1;
  int32_t numa_node = -1;
  int64_t memory_total_bytes = -1;
  int64_t memory_free_bytes = -1;
  double temperature_celsius = std::numeric_limits<double>::quiet_NaN();
  double power_watts = std::numeric_limits<double>::quiet_NaN();
};

class VaccPlugin final : public DeviceKind {
 public:
  // The plug-in of this machine: the file that VALLM_VACC_PLUGIN names, or else libvallm_vacc.so
  // beside the running program, in ../lib of it, or where the system looks for libraries.
  // Errors: those of Load; NOT_FOUND (none is there; says what to install).
  static absl::StatusOr<std::shared_ptr<const VaccPlugin>> Find();

  // Errors, all saying what to do: NOT_FOUND (no such file), FAILED_PRECONDITION (it cannot be
  // loaded, is no plug-in, is for another version of the interface, or lacks a function).
  static absl::StatusOr<std::shared_ptr<const VaccPlugin>> Load(const std::string& path);

  // Everything beyond what the plug-in gave is null. Only all_reduce_sum and inject_fault may be.
  const vallm_vacc_api& api() const { return api_; }
  vallm_vacc_entry_point entry_point() const { return entry_point_; }
  const std::string& path() const { return path_; }
  const std::string& name() const { return name_; }
  const std::string& version() const { return version_; }

  // Errors: the plug-in's.
  absl::StatusOr<int32_t> DieCount() const;
  // Errors: the plug-in's; NOT_FOUND (no such die).
  absl::StatusOr<DieInfo> Die(int32_t die) const;
  std::string Numerics() const override;
  int64_t KvBytes(const HeadLayout& heads, KvType type, int64_t num_blocks) const override;

 private:
  VaccPlugin(std::string path, vallm_vacc_entry_point entry_point, const vallm_vacc_api& api);

  const std::string path_;
  const vallm_vacc_entry_point entry_point_;
  const vallm_vacc_api api_;
  const std::string name_;
  const std::string version_;
};

// "ok", "warning", "failed" or "unknown".
std::string_view HealthName(int32_t health);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_DEVICE_VACC_VACC_PLUGIN_H_
