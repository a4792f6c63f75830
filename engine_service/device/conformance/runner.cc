#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "engine_service/device/conformance/check.h"
#include "engine_service/device/conformance/conformance.h"
#include "engine_service/device/cpu/cpu_device.h"
#include "engine_service/device/vacc/vacc_device.h"

namespace vallm::engine::conformance {
namespace {

std::vector<Check> ChosenChecks(const Options& options) {
  std::vector<Check> chosen;
  for (const auto& family :
       {PluginChecks(), MemoryChecks(), PackChecks(), RowChecks(), MatMulChecks(),
        AttentionChecks(), MoeChecks(), CollectiveChecks(), FaultChecks()}) {
    for (const Check& check : family) {
      if (check.heavy && options.quick) continue;
      if (absl::StrContains(check.name, options.filter)) chosen.push_back(check);
    }
  }
  return chosen;
}

absl::StatusOr<Finding> RunOne(const Target& target, const Options& options, const Check& check) {
  VALLM_ASSIGN_OR_RETURN(const std::unique_ptr<Device> device, target.open(0, 1));
  Bench bench(target, options, *device);
  return check.run(bench);
}

}  // namespace

Target CpuTarget(int32_t threads) {
  Target target;
  target.max_ranks = 8;
  target.open = [threads](int32_t /*rank*/, int32_t /*ranks*/) {
    CpuDeviceOptions options;
    options.threads = threads;
    return CreateCpuDevice(options);
  };
  return target;
}

absl::StatusOr<Target> PluginTarget(std::shared_ptr<const VaccPlugin> plugin, int32_t die,
                                    int32_t threads) {
  VALLM_ASSIGN_OR_RETURN(const int32_t count, plugin->DieCount());
  if (die < 0 || die >= count) {
    return absl::NotFoundError(
        absl::StrCat("there is no die ", die, "; the plug-in counts ", count, " dies"));
  }
  Target target;
  target.max_ranks = count - die;
  target.die = die;
  target.open = [plugin, die, threads](int32_t rank,
                                       int32_t ranks) -> absl::StatusOr<std::unique_ptr<Device>> {
    VaccDeviceOptions options;
    options.dies.clear();
    for (int32_t i = 0; i < ranks; ++i) options.dies.push_back(die + i);
    options.rank = rank;
    options.host_threads = threads;
    return OpenVaccDevice(plugin, options);
  };
  target.plugin = std::move(plugin);
  return target;
}

std::vector<std::string> CheckNames(const Options& options) {
  std::vector<std::string> names;
  for (const Check& check : ChosenChecks(options)) names.push_back(check.name);
  return names;
}

std::vector<Result> RunChecks(const Target& target, const Options& options,
                              const Progress& progress) {
  std::vector<Result> results;
  const std::vector<Check> checks = ChosenChecks(options);
  for (const Check& check : checks) {
    if (progress.before) {
      progress.before(check.name, static_cast<int64_t>(results.size()),
                      static_cast<int64_t>(checks.size()));
    }
    const absl::Time begin = absl::Now();
    absl::StatusOr<Finding> finding = RunOne(target, options, check);
    if (!finding.ok()) finding = Failed(finding.status().ToString());
    results.push_back({.name = check.name,
                       .outcome = finding->outcome,
                       .error = finding->error,
                       .tolerance = finding->tolerance,
                       .detail = finding->detail,
                       .seconds = absl::ToDoubleSeconds(absl::Now() - begin)});
    if (progress.after) progress.after(results.back());
  }
  return results;
}

}  // namespace vallm::engine::conformance
