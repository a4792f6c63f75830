// Which dies of the machine this process may use: VACC_VISIBLE_DEVICES, as the vendor's tools write
// it.
//
// The variable is read by the host and by nobody below it: plug-ins number all dies of the machine.
#ifndef VALLM_ENGINE_SERVICE_DEVICE_VACC_VISIBLE_DIES_H_
#define VALLM_ENGINE_SERVICE_DEVICE_VACC_VISIBLE_DIES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace vallm::engine {

inline constexpr char kVisibleDiesVariable[] = "VACC_VISIBLE_DEVICES";

// Dies of a list are below it. Far more than a machine has; keeps a slip of the pen from becoming a
// list of millions.
inline constexpr int32_t kMostDies = 4096;

// "0-3,5,7" as {0, 1, 2, 3, 5, 7}, in the order given; blanks around numbers are allowed.
// Errors: INVALID_ARGUMENT (anything else, a range that goes down, a die twice).
absl::StatusOr<std::vector<int32_t>> ParseDies(std::string_view text);

// The other way round, without ranges.
std::string FormatDies(const std::vector<int32_t>& dies);

// The value of the variable, or what it was before a plug-in removed it; absent or blank: nullopt,
// which means all dies.
std::optional<std::string> VisibleDiesFromEnvironment();

// Around the loading of a plug-in, which may remove the variable so that its runtime does not see
// it: keeps the value, for this process has to know it afterwards. Thread-safe.
class VisibleDiesKeeper {
 public:
  VisibleDiesKeeper() : before_(VisibleDiesFromEnvironment()) {}
  ~VisibleDiesKeeper();
  VisibleDiesKeeper(const VisibleDiesKeeper&) = delete;
  VisibleDiesKeeper& operator=(const VisibleDiesKeeper&) = delete;

 private:
  const std::optional<std::string> before_;
};

// The dies that may be used on a machine with `die_count`: those of `variable`, or all.
// Errors: INVALID_ARGUMENT (as ParseDies, or a die that the machine has not), naming the variable.
absl::StatusOr<std::vector<int32_t>> VisibleDies(const std::optional<std::string>& variable,
                                                 int32_t die_count);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_DEVICE_VACC_VISIBLE_DIES_H_
