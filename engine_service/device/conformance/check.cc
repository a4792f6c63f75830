#include "engine_service/device/conformance/check.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine_service/device/conformance/test_weights.h"

namespace vallm::engine::conformance {
namespace {

constexpr int64_t kGuardFloats = 64;
constexpr float kGuard = -7.25f;

std::string Place(size_t index, int64_t width) {
  const auto i = static_cast<int64_t>(index);
  return absl::StrCat("row ", i / width, ", column ", i % width);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Buffer>> Bench::PutRows(const std::vector<float>& values,
                                                       int64_t width) const {
  std::vector<float> padded = values;
  padded.resize(padded.size() + static_cast<size_t>(width),
                std::numeric_limits<float>::quiet_NaN());
  return Put(padded);
}

absl::StatusOr<std::unique_ptr<Buffer>> Bench::PutOutput(int64_t count) const {
  return Put(std::vector<float>(static_cast<size_t>(count + kGuardFloats), kGuard));
}

absl::StatusOr<std::vector<float>> Bench::GetOutput(const Buffer& buffer, int64_t count) const {
  VALLM_ASSIGN_OR_RETURN(std::vector<float> values, Get<float>(buffer, count + kGuardFloats));
  for (size_t i = static_cast<size_t>(count); i < values.size(); ++i) {
    if (values[i] == kGuard) continue;
    return absl::DataLossError(
        absl::StrCat("it wrote behind its last row: float ", i, " of ", count));
  }
  values.resize(static_cast<size_t>(count));
  return values;
}

Finding Passed() { return {}; }

Finding Failed(const std::string& detail) {
  Finding finding;
  finding.outcome = Outcome::kFailed;
  finding.detail = detail;
  return finding;
}

Finding Skipped(const std::string& why) {
  Finding finding;
  finding.outcome = Outcome::kSkipped;
  finding.detail = why;
  return finding;
}

Finding Measured(double error, double tolerance, const std::string& where) {
  Finding finding;
  finding.error = error;
  finding.tolerance = tolerance;
  if (!(error <= tolerance)) {
    finding.outcome = Outcome::kFailed;
    finding.detail = where;
  }
  return finding;
}

Finding SameBits(std::span<const float> got, std::span<const float> want, int64_t width,
                 const std::string& what) {
  if (got.size() != want.size()) {
    return Failed(absl::StrCat(what, ": ", got.size(), " values, not ", want.size()));
  }
  size_t different = 0, first = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::bit_cast<uint32_t>(got[i]) == std::bit_cast<uint32_t>(want[i]) && got[i] == got[i]) {
      continue;
    }
    if (different++ == 0) first = i;
  }
  if (different == 0) return Passed();
  return Failed(absl::StrFormat("%s: %d of %d values differ, the first at %s: %.9g, not %.9g", what,
                                different, got.size(), Place(first, width), got[first],
                                want[first]));
}

Finding Refused(const absl::Status& status, absl::StatusCode code, const std::string& what) {
  if (status.code() == code) return Passed();
  return Failed(absl::StrCat(what, " must fail with ", absl::StatusCodeToString(code), "; got ",
                             status.ToString()));
}

Finding Compare(std::span<const float> got, std::span<const double> want,
                std::span<const double> scale, int64_t width, double tolerance) {
  if (got.size() != want.size()) {
    return Failed(absl::StrCat(got.size(), " values, not ", want.size()));
  }
  double largest = 0;
  size_t at = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double error = std::abs(got[i] - want[i]) / scale[i];
    if (error <= largest) continue;
    largest = error;
    at = i;
    if (std::isnan(error)) break;
  }
  if (got.empty()) return Measured(0, tolerance, "");
  return Measured(largest, tolerance,
                  absl::StrFormat("%s: %.9g, not %.9g", Place(at, width), got[at], want[at]));
}

Finding CompareToLargest(std::span<const float> got, std::span<const double> want, int64_t width,
                         double tolerance) {
  double largest = 1e-30;
  for (const double x : want) largest = std::max(largest, std::abs(x));
  const std::vector<double> scale(want.size(), largest);
  return Compare(got, want, scale, width, tolerance);
}

CheckFunction OfType(WeightType type, CheckFunction run) {
  return [type, run = std::move(run)](Bench& bench) -> absl::StatusOr<Finding> {
    absl::StatusOr<Finding> finding = run(bench);
    if (!IsRequired(type) && absl::IsUnimplemented(finding.status())) {
      return Skipped(std::string(finding.status().message()));
    }
    return finding;
  };
}

}  // namespace vallm::engine::conformance
