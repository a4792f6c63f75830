#include "tools/devices/devices_command.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/flags.h"
#include "common/status_macros.h"
#include "common/usable_cores.h"
#include "engine_service/device/cpu/isa.h"
#include "engine_service/device/vacc/vacc_plugin.h"
#include "engine_service/device/vacc/visible_dies.h"
#include "tools/devices/host_info.h"

namespace vallm::tools {
namespace {

using engine::DieInfo;
using engine::VaccPlugin;
using nlohmann::ordered_json;

struct VaccInfo {
  std::shared_ptr<const VaccPlugin> plugin;  // null: none
  std::string why_not;                       // of no plug-in
  std::vector<DieInfo> dies;
  std::vector<int32_t> visible;
};

// Errors: a plug-in that is there and cannot be used.
absl::StatusOr<VaccInfo> FindDies() {
  VaccInfo vacc;
  const auto variable = engine::VisibleDiesFromEnvironment();
  const auto plugin = VaccPlugin::Find();
  const char* const named = std::getenv(engine::kPluginVariable);
  if (absl::IsNotFound(plugin.status()) && (named == nullptr || *named == '\0')) {
    vacc.why_not = std::string(plugin.status().message());
    return vacc;
  }
  VALLM_RETURN_IF_ERROR(plugin.status());
  vacc.plugin = *plugin;
  VALLM_ASSIGN_OR_RETURN(const int32_t count, vacc.plugin->DieCount());
  for (int32_t die = 0; die < count; ++die) {
    absl::StatusOr<DieInfo> info = vacc.plugin->Die(die);
    if (!info.ok()) {
      // A die that does not even tell its name is listed as well.
      info = DieInfo{};
      info->die = die;
      info->health = VALLM_HEALTH_FAILED;
      info->health_text = "its plug-in cannot tell";
    }
    vacc.dies.push_back(*std::move(info));
  }
  VALLM_ASSIGN_OR_RETURN(vacc.visible, engine::VisibleDies(variable, count));
  return vacc;
}

bool IsVisible(const VaccInfo& vacc, int32_t die) {
  return std::find(vacc.visible.begin(), vacc.visible.end(), die) != vacc.visible.end();
}

// ---- Table
// ---------------------------------------------------------------------------------------

std::string Bytes(int64_t bytes) {
  if (bytes < 0) return "?";
  return absl::StrFormat("%.1f GiB", static_cast<double>(bytes) / (1 << 30));
}

std::string Count(int64_t count, const char* one) {
  return absl::StrCat(count, " ", one, count == 1 ? "" : "s");
}

void PrintCpu(const HostInfo& host) {
  std::string nodes;
  if (host.numa_nodes.size() > 1) {
    nodes = absl::StrCat(", ", Count(static_cast<int64_t>(host.numa_nodes.size()), "NUMA node"));
  }
  std::printf("%s\n", absl::StrFormat("cpu   %s, %s, %s usable, %s memory (%s free)%s", host.model,
                                      std::string(engine::IsaName(engine::AvailableIsas().back())),
                                      Count(UsableCores(), "core"), Bytes(host.memory_total_bytes),
                                      Bytes(host.memory_free_bytes), nodes)
                          .c_str());
  if (host.numa_nodes.size() < 2) return;
  for (const NumaNode& node : host.numa_nodes) {
    std::printf("%s\n", absl::StrFormat("      node %d: cores %s, %s", node.id, node.cpus,
                                        Bytes(node.memory_bytes))
                            .c_str());
  }
}

void PrintVacc(const VaccInfo& vacc) {
  if (vacc.plugin == nullptr) {
    std::printf("vacc  %s\n", vacc.why_not.c_str());
    return;
  }
  const VaccPlugin& plugin = *vacc.plugin;
  std::printf("%s\n", absl::StrFormat("vacc  %s, %s %s, interface %d.%d, %s",
                                      Count(static_cast<int64_t>(vacc.dies.size()), "die"),
                                      plugin.name(), plugin.version(), plugin.api().abi_major,
                                      plugin.api().abi_minor, plugin.path())
                          .c_str());
  if (vacc.dies.empty()) return;
  std::printf("%s\n", absl::StrFormat("      %4s  %-20s %4s %5s  %10s %10s  %6s %7s  %-8s %s",
                                      "die", "name", "card", "node", "memory", "free", "temp",
                                      "power", "health", "visible")
                          .c_str());
  const auto index = [](int32_t value) {
    return value < 0 ? std::string("-") : std::string(absl::StrCat(value));
  };
  const auto real = [](double value, const char* format) {
    return std::isnan(value) ? std::string("-") : absl::StrFormat("%.0f%s", value, format);
  };
  for (const DieInfo& die : vacc.dies) {
    std::string health(engine::HealthName(die.health));
    std::printf("%s\n",
                absl::StrFormat("      %4d  %-20s %4s %5s  %10s %10s  %6s %7s  %-8s %s", die.die,
                                die.name, index(die.card), index(die.numa_node),
                                Bytes(die.memory_total_bytes), Bytes(die.memory_free_bytes),
                                real(die.temperature_celsius, " C"), real(die.power_watts, " W"),
                                health, IsVisible(vacc, die.die) ? "yes" : "no")
                    .c_str());
    if (!die.health_text.empty()) std::printf("            %s\n", die.health_text.c_str());
  }
}

// ---- JSON
// ----------------------------------------------------------------------------------------

// Unknown numbers are null.
ordered_json Known(int64_t value) { return value < 0 ? ordered_json() : ordered_json(value); }
ordered_json Known(double value) {
  return std::isnan(value) ? ordered_json() : ordered_json(value);
}

ordered_json CpuJson(const HostInfo& host) {
  ordered_json nodes = ordered_json::array();
  for (const NumaNode& node : host.numa_nodes) {
    nodes.push_back(
        {{"node", node.id}, {"cpus", node.cpus}, {"memory_bytes", Known(node.memory_bytes)}});
  }
  std::vector<std::string> isas;
  for (const engine::Isa isa : engine::AvailableIsas()) isas.emplace_back(engine::IsaName(isa));
  return {{"model", host.model},
          {"isa", isas.back()},
          {"isas", isas},
          {"usable_cores", UsableCores()},
          {"memory_total_bytes", Known(host.memory_total_bytes)},
          {"memory_free_bytes", Known(host.memory_free_bytes)},
          {"numa_nodes", nodes}};
}

ordered_json VaccJson(const VaccInfo& vacc) {
  if (vacc.plugin == nullptr) return {{"plugin", nullptr}, {"message", vacc.why_not}};
  const VaccPlugin& plugin = *vacc.plugin;
  ordered_json dies = ordered_json::array();
  for (const DieInfo& die : vacc.dies) {
    dies.push_back({{"die", die.die},
                    {"name", die.name},
                    {"uuid", die.uuid},
                    {"card", Known(int64_t{die.card})},
                    {"numa_node", Known(int64_t{die.numa_node})},
                    {"memory_total_bytes", Known(die.memory_total_bytes)},
                    {"memory_free_bytes", Known(die.memory_free_bytes)},
                    {"temperature_celsius", Known(die.temperature_celsius)},
                    {"power_watts", Known(die.power_watts)},
                    {"health", std::string(engine::HealthName(die.health))},
                    {"health_text", die.health_text},
                    {"visible", IsVisible(vacc, die.die)}});
  }
  return {{"plugin",
           {{"name", plugin.name()},
            {"version", plugin.version()},
            {"abi", absl::StrFormat("%d.%d", plugin.api().abi_major, plugin.api().abi_minor)},
            {"path", plugin.path()}}},
          {"visible_dies", vacc.visible},
          {"dies", dies}};
}

}  // namespace

int RunDevices(int argc, char** argv) {
  bool json = false;
  FlagParser parser("vallm devices",
                    "Lists what this machine can run models on: its processors, and the VACC dies "
                    "that the plug-in finds (VALLM_VACC_PLUGIN names it, VACC_VISIBLE_DEVICES "
                    "selects dies).",
                    "  vallm devices\n  VACC_VISIBLE_DEVICES=0-3 vallm devices --json\n");
  parser.app().add_flag("--json", json, "Print one JSON object; what is not known is null");
  if (auto exit_code = parser.Parse(argc, argv)) return *exit_code;
  const HostInfo host = ReadHostInfo();
  const absl::StatusOr<VaccInfo> vacc = FindDies();
  if (json) {
    ordered_json all = {{"cpu", CpuJson(host)}};
    all["vacc"] = vacc.ok() ? VaccJson(*vacc)
                            : ordered_json{{"plugin", nullptr},
                                           {"message", std::string(vacc.status().message())}};
    std::printf("%s\n", all.dump(2, ' ', false, ordered_json::error_handler_t::replace).c_str());
  } else {
    PrintCpu(host);
    if (vacc.ok()) PrintVacc(*vacc);
  }
  if (vacc.ok()) return 0;
  std::fprintf(stderr, "vallm devices: vacc: %s\n", std::string(vacc.status().message()).c_str());
  return 1;
}

}  // namespace vallm::tools
