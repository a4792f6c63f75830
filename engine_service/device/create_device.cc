#include "engine_service/device/create_device.h"

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "engine_service/device/cpu/cpu_device.h"

namespace vallm::engine {

absl::Status CheckDeviceName(std::string_view name) {
  if (name == "cpu") return absl::OkStatus();
  if (name == "vacc") {
    return absl::UnimplementedError(
        "device vacc needs the vendor's plug-in, libvallm_vacc.so or the file that "
        "VALLM_VACC_PLUGIN names, and this build cannot load plug-ins: use --device cpu");
  }
  return absl::InvalidArgumentError(
      absl::StrCat("no device is called \"", ToAbsl(name), "\": use cpu, vacc or mock"));
}

absl::StatusOr<std::unique_ptr<Device>> CreateDevice(std::string_view name, int32_t threads) {
  VALLM_RETURN_IF_ERROR(CheckDeviceName(name));
  return CreateCpuDevice({.threads = threads, .pin_to = {}, .isa = {}});
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
