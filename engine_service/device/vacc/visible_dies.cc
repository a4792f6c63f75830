#include "engine_service/device/vacc/visible_dies.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/mutex.h"
#include "common/status_macros.h"
#include "common/strings.h"

namespace vallm::engine {
namespace {

// The environment of a process is global, and so is what was taken from it.
struct RemovedValue {
  Mutex mu;
  std::optional<std::string> value ABSL_GUARDED_BY(mu);
};
RemovedValue& Removed() {
  static RemovedValue removed;
  return removed;
}

std::optional<int32_t> ParseNumber(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  int32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.front() == '-' ||
      value >= kMostDies) {
    return std::nullopt;
  }
  return value;
}

}  // namespace

absl::StatusOr<std::vector<int32_t>> ParseDies(std::string_view text) {
  std::vector<int32_t> dies;
  for (const absl::string_view part : absl::StrSplit(ToAbsl(text), ',')) {
    const std::vector<absl::string_view> ends = absl::StrSplit(part, absl::MaxSplits('-', 1));
    const std::optional<int32_t> first = ParseNumber(ends.front());
    const std::optional<int32_t> last = ParseNumber(ends.back());
    if (!first.has_value() || !last.has_value() || *last < *first) {
      return absl::InvalidArgumentError(absl::StrCat(
          "\"", ToAbsl(text), "\" is no list of dies: write numbers and ranges such as 0-3,5,7"));
    }
    for (int32_t die = *first; die <= *last; ++die) {
      if (std::find(dies.begin(), dies.end(), die) != dies.end()) {
        return absl::InvalidArgumentError(
            absl::StrCat("\"", ToAbsl(text), "\" names die ", die, " twice"));
      }
      dies.push_back(die);
    }
  }
  return dies;
}

std::string FormatDies(const std::vector<int32_t>& dies) { return absl::StrJoin(dies, ","); }

std::optional<std::string> VisibleDiesFromEnvironment() {
  const char* const value = std::getenv(kVisibleDiesVariable);
  if (value == nullptr) {
    RemovedValue& removed = Removed();
    MutexLock lock(removed.mu);
    return removed.value;
  }
  if (absl::StripAsciiWhitespace(value).empty()) return std::nullopt;
  return value;
}

VisibleDiesKeeper::~VisibleDiesKeeper() {
  if (std::getenv(kVisibleDiesVariable) != nullptr) return;
  RemovedValue& removed = Removed();
  MutexLock lock(removed.mu);
  removed.value = before_;
}

absl::StatusOr<std::vector<int32_t>> VisibleDies(const std::optional<std::string>& variable,
                                                 int32_t die_count) {
  if (!variable.has_value()) {
    std::vector<int32_t> all;
    for (int32_t die = 0; die < die_count; ++die) all.push_back(die);
    return all;
  }
  auto dies = ParseDies(*variable);
  if (!dies.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(kVisibleDiesVariable, ": ", dies.status().message()));
  }
  for (const int32_t die : *dies) {
    if (die < die_count) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        kVisibleDiesVariable, " names die ", die, "; this machine has ",
        die_count == 0 ? std::string("none") : absl::StrCat("dies 0 to ", die_count - 1)));
  }
  return dies;
}

}  // namespace vallm::engine
