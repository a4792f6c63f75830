// What only plug-ins have: versions, dies, opening and closing, and failures on demand.
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine_service/device/conformance/check.h"
#include "engine_service/device/conformance/test_weights.h"
#include "engine_service/device/vacc/abi_convert.h"
#include "engine_service/device/vacc/vacc_device.h"

namespace vallm::engine::conformance {
namespace {

// Checks of the interface do not concern a device in this process.
CheckFunction OfPlugin(CheckFunction run) {
  return [run = std::move(run)](Bench& bench) -> absl::StatusOr<Finding> {
    if (bench.target().plugin == nullptr) return Skipped("not behind a plug-in");
    return run(bench);
  };
}

absl::StatusOr<std::unique_ptr<VaccDevice>> Open(Bench& bench) {
  VaccDeviceOptions options;
  options.dies = {bench.target().die};
  return OpenVaccDevice(bench.target().plugin, options);
}

// ---- The interface
// -------------------------------------------------------------------------------

absl::StatusOr<Finding> AnswersOtherVersions(Bench& bench) {
  const VaccPlugin& plugin = *bench.target().plugin;
  const vallm_vacc_api* newer = plugin.entry_point()(VALLM_VACC_ABI_MAJOR + 1, 0);
  if (newer != nullptr && newer->abi_major != VALLM_VACC_ABI_MAJOR + 1 &&
      newer->abi_major != VALLM_VACC_ABI_MAJOR) {
    return Failed(
        std::string(absl::StrCat("asked for version ", VALLM_VACC_ABI_MAJOR + 1, ".0 it gives ",
                                 newer->abi_major, ".", newer->abi_minor)));
  }
  const vallm_vacc_api* again =
      plugin.entry_point()(VALLM_VACC_ABI_MAJOR, VALLM_VACC_ABI_MINOR + 9);
  if (again == nullptr || again->abi_major != VALLM_VACC_ABI_MAJOR) {
    return Failed("a host of a later minor version gets no table");
  }
  if (again->struct_size != plugin.api().struct_size || again->open != plugin.api().open) {
    return Failed("asked again it gives another table");
  }
  return Passed();
}

absl::StatusOr<Finding> RefusesDiesThatAreNot(Bench& bench) {
  const VaccPlugin& plugin = *bench.target().plugin;
  VALLM_ASSIGN_OR_RETURN(const int32_t count, plugin.DieCount());
  for (const int32_t die : {count, -1, INT32_MAX}) {
    const std::string name(absl::StrCat("die ", die));
    const Finding info =
        Refused(plugin.Die(die).status(), absl::StatusCode::kNotFound, "die_info of " + name);
    if (info.outcome != Outcome::kPassed) return info;
    VaccDeviceOptions options;
    options.dies = {die};
    const Finding open = Refused(OpenVaccDevice(bench.target().plugin, options).status(),
                                 absl::StatusCode::kNotFound, "opening " + name);
    if (open.outcome != Outcome::kPassed) return open;
  }
  return Passed();
}

absl::StatusOr<Finding> TellsOfDies(Bench& bench) {
  VALLM_ASSIGN_OR_RETURN(const DieInfo info, bench.target().plugin->Die(bench.target().die));
  if (info.name.empty()) return Failed("the die has no name");
  if (info.health < VALLM_HEALTH_UNKNOWN || info.health > VALLM_HEALTH_FAILED) {
    return Failed(std::string(absl::StrCat("health is ", info.health)));
  }
  if (info.memory_free_bytes > info.memory_total_bytes) {
    return Failed(std::string(
        absl::StrCat(info.memory_free_bytes, " bytes free of ", info.memory_total_bytes)));
  }
  if (info.temperature_celsius < -50 || info.temperature_celsius > 200) {
    return Failed(std::string(absl::StrCat("temperature is ", info.temperature_celsius)));
  }
  return Passed();
}

// A host of an older version has room for less.
absl::StatusOr<Finding> KeepsToTheHostsStructSize(Bench& bench) {
  struct {
    vallm_die_info info;
    char behind[64];
  } room;
  std::memset(&room, 0x5a, sizeof(room));
  room.info.struct_size = offsetof(vallm_die_info, temperature_celsius);
  vallm_error error = {};
  const vallm_code code =
      bench.target().plugin->api().die_info(bench.target().die, &room.info, &error);
  VALLM_RETURN_IF_ERROR(StatusFromAbi(code, error, "die_info"));
  const auto* bytes = reinterpret_cast<const unsigned char*>(&room);
  for (size_t i = offsetof(vallm_die_info, temperature_celsius); i < sizeof(room); ++i) {
    if (bytes[i] != 0x5a) {
      return Failed(std::string(absl::StrCat("die_info wrote to byte ", i, "; struct_size is ",
                                             offsetof(vallm_die_info, temperature_celsius))));
    }
  }
  return Passed();
}

absl::StatusOr<Finding> RefusesUnknownTypes(Bench& bench) {
  const vallm_head_layout heads = {4, 2, 64};
  if (bench.target().plugin->api().kv_bytes(&heads, 99, 1) >= 0) {
    return Failed("kv_bytes knows a KV type 99");
  }
  VALLM_ASSIGN_OR_RETURN(const auto device, Open(bench));
  const TestMatrix matrix(16, 32, WeightType::kBf16, 1);
  WeightSlice slice = matrix.Whole();
  slice.type = static_cast<WeightType>(99);
  return Refused(device->PackMatrix(std::vector{slice}, 1).status(),
                 absl::StatusCode::kUnimplemented, "a weight type of a later version");
}

absl::StatusOr<Finding> OpensAgain(Bench& bench) {
  for (int i = 0; i < 3; ++i) {
    VALLM_ASSIGN_OR_RETURN(const auto device, Open(bench));
    VALLM_ASSIGN_OR_RETURN(const auto buffer, device->Allocate(1 << 20));
    VALLM_RETURN_IF_ERROR(device->Add(*buffer, *buffer, 1, 16));
  }
  return Passed();
}

// ---- Failures on demand
// --------------------------------------------------------------------------

CheckFunction WithFaults(CheckFunction run) {
  return OfPlugin([run = std::move(run)](Bench& bench) -> absl::StatusOr<Finding> {
    if (bench.target().plugin->api().inject_fault == nullptr) {
      return Skipped("the plug-in has no inject_fault");
    }
    return run(bench);
  });
}

absl::StatusOr<Finding> SurvivesAShortage(Bench& bench) {
  constexpr auto kExhausted = absl::StatusCode::kResourceExhausted;
  VALLM_ASSIGN_OR_RETURN(const auto device, Open(bench));
  VALLM_RETURN_IF_ERROR(device->InjectFault(VALLM_FAULT_OUT_OF_MEMORY, 1 << 20));
  VALLM_ASSIGN_OR_RETURN(auto half, device->Allocate(1 << 19));
  const Finding buffer =
      Refused(device->Allocate(1 << 20).status(), kExhausted, "allocating more than is left");
  if (buffer.outcome != Outcome::kPassed) return buffer;
  const TestMatrix matrix(1024, 1024, WeightType::kBf16, 2);
  const Finding packed = Refused(device->PackMatrix(std::vector{matrix.Whole()}, 1).status(),
                                 kExhausted, "packing more than is left");
  if (packed.outcome != Outcome::kPassed) return packed;
  const ExpertSlices expert = {matrix.Whole(), matrix.Whole(), matrix.Whole()};
  const Finding experts = Refused(device->PackExperts(std::vector{expert}, 1).status(), kExhausted,
                                  "packing experts of more than is left");
  if (experts.outcome != Outcome::kPassed) return experts;
  // What was there is still there, and what is given back can be had again.
  VALLM_RETURN_IF_ERROR(device->Add(*half, *half, 1, 1024));
  half.reset();
  VALLM_RETURN_IF_ERROR(device->Allocate(1 << 19).status());
  return Passed();
}

// From some call on everything is UNAVAILABLE; memory can still be freed, the device closed, and
// the die opened again.
absl::StatusOr<Finding> EndsWhenItIsLost(Bench& bench) {
  constexpr auto kLost = absl::StatusCode::kUnavailable;
  {
    VALLM_ASSIGN_OR_RETURN(const auto device, Open(bench));
    VALLM_ASSIGN_OR_RETURN(const auto buffer, device->Allocate(4096));
    const TestMatrix matrix(16, 64, WeightType::kBf16, 3);
    VALLM_ASSIGN_OR_RETURN(const auto packed, device->PackMatrix(std::vector{matrix.Whole()}, 1));
    VALLM_RETURN_IF_ERROR(device->InjectFault(VALLM_FAULT_DEVICE_LOST, 1));
    VALLM_RETURN_IF_ERROR(device->Add(*buffer, *buffer, 1, 16));
    const Finding product =
        Refused(device->MatMul(*buffer, 1, *packed, *buffer), kLost, "a product on a lost device");
    if (product.outcome != Outcome::kPassed) return product;
  }
  // Each operation by itself, on a device that is lost from the start. The host asks no lost device
  // twice, so each gets one of its own.
  using Operation = std::function<absl::Status(Device&, Buffer&)>;
  const std::pair<const char*, Operation> operations[] = {
      {"alloc", [](Device& d, Buffer&) { return d.Allocate(64).status(); }},
      {"upload", [](Device& d, Buffer& b) { return d.Upload({}, b); }},
      {"download", [](Device& d, Buffer& b) { return d.Download(b, {}); }},
      {"gather_rows",
       [](Device& d, Buffer& b) {
         const int32_t row = 0;
         return d.GatherRows(b, {&row, 1}, 16, b);
       }},
      {"rms_norm", [](Device& d, Buffer& b) { return d.RmsNorm(b, b, 1e-6f, 1, 16, b); }},
      {"silu_mul", [](Device& d, Buffer& b) { return d.SiluMul(b, 0, 16, b); }},
      {"moe_route", [](Device& d, Buffer& b) { return d.MoeRoute(b, 0, 4, 2, true, b, b); }}};
  for (const auto& [name, operation] : operations) {
    VALLM_ASSIGN_OR_RETURN(const auto device, Open(bench));
    VALLM_ASSIGN_OR_RETURN(const auto buffer, device->Allocate(4096));
    VALLM_RETURN_IF_ERROR(device->InjectFault(VALLM_FAULT_DEVICE_LOST, 0));
    const Finding lost =
        Refused(operation(*device, *buffer), kLost, std::string(name) + " on a lost device");
    if (lost.outcome != Outcome::kPassed) return lost;
  }
  return OpensAgain(bench);
}

}  // namespace

std::vector<Check> PluginChecks() {
  return {
      {"plugin/version/other hosts", false, OfPlugin(AnswersOtherVersions)},
      {"plugin/dies/those that are not", false, OfPlugin(RefusesDiesThatAreNot)},
      {"plugin/dies/what it tells", false, OfPlugin(TellsOfDies)},
      {"plugin/version/struct_size of an older host", false, OfPlugin(KeepsToTheHostsStructSize)},
      {"plugin/version/types of later versions", false, OfPlugin(RefusesUnknownTypes)},
      {"plugin/open/again after closing", false, OfPlugin(OpensAgain)}};
}

std::vector<Check> FaultChecks() {
  return {
      {"fault/out of memory/the device goes on", false, WithFaults(SurvivesAShortage)},
      {"fault/device lost/everything fails, nothing hangs", false, WithFaults(EndsWhenItIsLost)}};
}

}  // namespace vallm::engine::conformance
