#include "engine_service/device/vacc/vacc_plugin.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "engine_service/device/vacc/abi_convert.h"
#include "engine_service/device/vacc/visible_dies.h"

namespace vallm::engine {
namespace {

namespace fs = std::filesystem;

// Up to here every table of version 1.0 reaches; the functions behind may be left out.
constexpr size_t kLeastTableSize = offsetof(vallm_vacc_api, all_reduce_sum);

template <size_t N>
std::string Text(const char (&text)[N]) {
  return {text, strnlen(text, N)};
}

std::string HostVersion() { return absl::StrCat(VALLM_VACC_ABI_MAJOR, ".", VALLM_VACC_ABI_MINOR); }

// The name of the first required function that the table lacks; null: none.
const char* MissingFunction(const vallm_vacc_api& api) {
  const std::pair<const char*, bool> functions[] = {
      {"die_count", api.die_count != nullptr},
      {"die_info", api.die_info != nullptr},
      {"kv_bytes", api.kv_bytes != nullptr},
      {"open", api.open != nullptr},
      {"close", api.close != nullptr},
      {"alloc", api.alloc != nullptr},
      {"free_buffer", api.free_buffer != nullptr},
      {"upload", api.upload != nullptr},
      {"download", api.download != nullptr},
      {"pack_matrix", api.pack_matrix != nullptr},
      {"free_matrix", api.free_matrix != nullptr},
      {"pack_experts", api.pack_experts != nullptr},
      {"free_experts", api.free_experts != nullptr},
      {"embed", api.embed != nullptr},
      {"gather_rows", api.gather_rows != nullptr},
      {"add", api.add != nullptr},
      {"rms_norm", api.rms_norm != nullptr},
      {"silu_mul", api.silu_mul != nullptr},
      {"mat_mul", api.mat_mul != nullptr},
      {"norm_rope_heads", api.norm_rope_heads != nullptr},
      {"store_kv", api.store_kv != nullptr},
      {"attention", api.attention != nullptr},
      {"moe_route", api.moe_route != nullptr},
      {"moe_experts", api.moe_experts != nullptr},
  };
  for (const auto& [name, present] : functions) {
    if (!present) return name;
  }
  return nullptr;
}

absl::StatusOr<vallm_vacc_api> CheckTable(const std::string& path, const vallm_vacc_api* table) {
  if (table == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, " has nothing for version ", HostVersion(),
        " of the device interface: install the plug-in that was built for this vallm"));
  }
  if (table->abi_major != VALLM_VACC_ABI_MAJOR) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, " speaks version ", table->abi_major, ".", table->abi_minor,
        " of the device interface, this vallm version ", HostVersion(),
        ": install the plug-in that was built for this vallm, or the vallm it was built for"));
  }
  if (table->struct_size < kLeastTableSize) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, ": its table has ", table->struct_size, " bytes; version ", HostVersion(),
        " has at least ", kLeastTableSize, ": struct_size must be sizeof(vallm_vacc_api)"));
  }
  vallm_vacc_api api = {};
  std::memcpy(&api, table, std::min<size_t>(table->struct_size, sizeof(api)));
  if (const char* missing = MissingFunction(api)) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": its table has no ", missing,
                                                      ", which version ", HostVersion(),
                                                      " of the device interface asks for"));
  }
  if (api.name == nullptr || api.version == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": it has no name or no version"));
  }
  return api;
}

fs::path ProgramFolder() {
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error).parent_path();
}

absl::Status NoPlugin(const fs::path& folder) {
  return absl::NotFoundError(absl::StrCat(
      "no VACC plug-in is installed: ", kPluginLibrary, " is neither in ", folder.string(),
      ", in its ../lib, nor where the system looks for libraries. Install the vendor's, or name "
      "the "
      "file in ",
      kPluginVariable, "; without VACC cards use --device cpu"));
}

}  // namespace

VaccPlugin::VaccPlugin(std::string path, vallm_vacc_entry_point entry_point,
                       const vallm_vacc_api& api)
    : path_(std::move(path)),
      entry_point_(entry_point),
      api_(api),
      name_(api.name),
      version_(api.version) {}

absl::StatusOr<std::shared_ptr<const VaccPlugin>> VaccPlugin::Find() {
  if (const char* path = std::getenv(kPluginVariable); path != nullptr && *path != '\0') {
    absl::StatusOr<std::shared_ptr<const VaccPlugin>> plugin = Load(path);
    if (plugin.ok()) return plugin;
    return absl::Status(plugin.status().code(),
                        absl::StrCat(kPluginVariable, ": ", plugin.status().message()));
  }
  const fs::path folder = ProgramFolder();
  std::error_code error;
  for (const fs::path& file :
       {folder / kPluginLibrary, folder.parent_path() / "lib" / kPluginLibrary}) {
    if (fs::exists(file, error)) return Load(file.string());
  }
  // By its bare name the loader searches the system's folders.
  absl::StatusOr<std::shared_ptr<const VaccPlugin>> plugin = Load(kPluginLibrary);
  if (absl::IsNotFound(plugin.status())) return NoPlugin(folder);
  return plugin;
}

absl::StatusOr<std::shared_ptr<const VaccPlugin>> VaccPlugin::Load(const std::string& path) {
  const VisibleDiesKeeper keeper;
  // Local: what a plug-in links must not answer for what we link, nor the other way round.
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* why = dlerror();
    const std::string text = why == nullptr ? "unknown error" : why;
    // The loader has no error codes. A library that the plug-in wants and that is missing reads the
    // same but for its name.
    std::error_code error;
    const bool missing = absl::StrContains(path, "/")
                             ? !fs::exists(path, error)
                             : absl::StartsWith(text, absl::StrCat(path, ": cannot open shared"));
    if (missing) return absl::NotFoundError(absl::StrCat("there is no file ", path));
    return absl::FailedPreconditionError(absl::StrCat("cannot load ", path, ": ", text));
  }
  const auto entry =
      reinterpret_cast<vallm_vacc_entry_point>(dlsym(library, VALLM_VACC_ENTRY_POINT));
  if (entry == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is no vallm plug-in: it exports no ", VALLM_VACC_ENTRY_POINT));
  }
  VALLM_ASSIGN_OR_RETURN(const vallm_vacc_api api,
                         CheckTable(path, entry(VALLM_VACC_ABI_MAJOR, VALLM_VACC_ABI_MINOR)));
  return std::shared_ptr<const VaccPlugin>(new VaccPlugin(path, entry, api));
}

absl::StatusOr<int32_t> VaccPlugin::DieCount() const {
  vallm_error error = {};
  int32_t count = 0;
  VALLM_RETURN_IF_ERROR(StatusFromAbi(api_.die_count(&count, &error), error, name_));
  if (count < 0) {
    return absl::InternalError(absl::StrCat(name_, ": it counts ", count, " dies"));
  }
  return count;
}

absl::StatusOr<DieInfo> VaccPlugin::Die(int32_t die) const {
  vallm_error error = {};
  vallm_die_info info = {};
  info.struct_size = sizeof(info);
  info.card = info.numa_node = -1;
  info.memory_total_bytes = info.memory_free_bytes = -1;
  info.temperature_celsius = info.power_watts = std::numeric_limits<double>::quiet_NaN();
  VALLM_RETURN_IF_ERROR(StatusFromAbi(api_.die_info(die, &info, &error), error,
                                      std::string(absl::StrCat(name_, ", die ", die))));
  return DieInfo{.die = die,
                 .name = Text(info.name),
                 .uuid = Text(info.uuid),
                 .health = info.health,
                 .health_text = Text(info.health_text),
                 .card = info.card,
                 .numa_node = info.numa_node,
                 .memory_total_bytes = info.memory_total_bytes,
                 .memory_free_bytes = info.memory_free_bytes,
                 .temperature_celsius = info.temperature_celsius,
                 .power_watts = info.power_watts};
}

std::string VaccPlugin::Numerics() const { return absl::StrCat("vacc ", name_, " ", version_); }

int64_t VaccPlugin::KvBytes(const HeadLayout& heads, KvType type, int64_t num_blocks) const {
  const vallm_head_layout layout = HeadsToAbi(heads);
  return api_.kv_bytes(&layout, KvTypeToAbi(type), num_blocks);
}

std::string_view HealthName(int32_t health) {
  switch (health) {
    case VALLM_HEALTH_OK:
      return "ok";
    case VALLM_HEALTH_WARNING:
      return "warning";
    case VALLM_HEALTH_FAILED:
      return "failed";
    default:
      return "unknown";
  }
}

}  // namespace vallm::engine
