// What a device has to do to be one of vallm's: a list of checks, each an operation with real
// models' shapes or an edge case, held against double precision or against a law of exactness.
//
// Runs over any device, in process or behind a plug-in. The command `vallm device-conformance` and
// the test device_conformance_test are its two faces. docs/vacc-plugin.md explains the laws.
#ifndef VALLM_ENGINE_SERVICE_DEVICE_CONFORMANCE_CONFORMANCE_H_
#define VALLM_ENGINE_SERVICE_DEVICE_CONFORMANCE_CONFORMANCE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine_service/device/device.h"
#include "engine_service/device/vacc/vacc_plugin.h"

namespace vallm::engine::conformance {

// Where devices come from. Every check opens its own, so that one that breaks a device spoils no
// other.
struct Target {
  // The device of one rank of a group.
  std::function<absl::StatusOr<std::unique_ptr<Device>>(int32_t rank, int32_t ranks)> open;
  int32_t max_ranks = 1;  // how many can be open at a time
  // Behind a plug-in: the dies from `die` on; `open` uses them.
  std::shared_ptr<const VaccPlugin> plugin;
  int32_t die = 0;
};

// The CPU device of this process.
Target CpuTarget(int32_t threads);
// The dies of a plug-in from `die` on. Errors: the plug-in's; NOT_FOUND (no such die).
absl::StatusOr<Target> PluginTarget(std::shared_ptr<const VaccPlugin> plugin, int32_t die,
                                    int32_t threads);

struct Options {
  // Only what takes seconds: no matrix of more than a few million weights.
  bool quick = false;
  // Tolerances for a device that rounds what it multiplies to bf16, as vallm_device_abi.h allows.
  bool bf16_products = false;
  // Only checks whose name contains it; empty: all.
  std::string filter;
};

enum class Outcome { kPassed, kFailed, kSkipped };

struct Result {
  std::string name;  // operation/law/what with
  Outcome outcome = Outcome::kPassed;
  // Of checks that measure: the largest error found and what is allowed.
  std::optional<double> error;
  std::optional<double> tolerance;
  std::string detail;  // of a failure: what was wrong; of a skipped check: why
  double seconds = 0;
};

// What is told while checks run. Called on the thread that runs them. Either may be null.
struct Progress {
  std::function<void(const std::string& name, int64_t index, int64_t count)> before;
  std::function<void(const Result& result)> after;
};

// The names of the checks that `options` choose, in order.
std::vector<std::string> CheckNames(const Options& options);

// Runs them. A device that cannot be opened fails the checks one by one. A crash of a plug-in is a
// crash of this process: `progress` says where.
std::vector<Result> RunChecks(const Target& target, const Options& options,
                              const Progress& progress);

}  // namespace vallm::engine::conformance

#endif  // VALLM_ENGINE_SERVICE_DEVICE_CONFORMANCE_CONFORMANCE_H_
