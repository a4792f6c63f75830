// What checks are made of: the device under test with the means to feed it from host vectors, and
// how a check says what it found.
#ifndef VALLM_ENGINE_SERVICE_DEVICE_CONFORMANCE_CHECK_H_
#define VALLM_ENGINE_SERVICE_DEVICE_CONFORMANCE_CHECK_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/status_macros.h"
#include "engine_service/device/conformance/conformance.h"

namespace vallm::engine::conformance {

// A device under test. Not thread-safe.
class Bench {
 public:
  Bench(const Target& target, const Options& options, Device& device)
      : target_(target), options_(options), device_(device) {}

  const Target& target() const { return target_; }
  const Options& options() const { return options_; }
  Device& device() const { return device_; }

  // Largest error allowed where values are multiplied and summed, for a device that multiplies
  // floats or, with --bf16-products, bf16.
  double ProductTolerance(double f32, double bf16) const {
    return options_.bf16_products ? bf16 : f32;
  }

  // A new buffer with these values.
  template <typename T>
  absl::StatusOr<std::unique_ptr<Buffer>> Put(const std::vector<T>& values) const {
    VALLM_ASSIGN_OR_RETURN(auto buffer, device_.Allocate(Bytes<T>(values.size())));
    VALLM_RETURN_IF_ERROR(device_.Upload(std::as_bytes(std::span(values)), *buffer));
    return buffer;
  }
  // Rows of activations, with a row of NaN behind them, which no operation may look at.
  absl::StatusOr<std::unique_ptr<Buffer>> PutRows(const std::vector<float>& values,
                                                  int64_t width) const;
  // Room for `count` floats that an operation writes, and a guard behind them.
  absl::StatusOr<std::unique_ptr<Buffer>> PutOutput(int64_t count) const;

  template <typename T>
  absl::StatusOr<std::vector<T>> Get(const Buffer& buffer, int64_t count) const {
    std::vector<T> values(static_cast<size_t>(count));
    VALLM_RETURN_IF_ERROR(device_.Download(buffer, std::as_writable_bytes(std::span(values))));
    return values;
  }
  // The values of PutOutput's buffer. Errors: DATA_LOSS (the guard was written to).
  absl::StatusOr<std::vector<float>> GetOutput(const Buffer& buffer, int64_t count) const;

 private:
  template <typename T>
  static int64_t Bytes(size_t count) {
    return static_cast<int64_t>(count * sizeof(T));
  }

  const Target& target_;
  const Options& options_;
  Device& device_;
};

// What a check found. An error Status instead means that the device refused what it must do.
struct Finding {
  Outcome outcome = Outcome::kPassed;
  std::optional<double> error;
  std::optional<double> tolerance;
  std::string detail;
};

Finding Passed();
Finding Failed(const std::string& detail);
Finding Skipped(const std::string& why);
// Passes while error <= tolerance; NaN fails. `where` says which value it was.
Finding Measured(double error, double tolerance, const std::string& where);
// Equal bits, all NaNs being equal to none. `what` names the law; the detail says where they
// differ.
Finding SameBits(std::span<const float> got, std::span<const float> want, int64_t width,
                 const std::string& what);
// `status` must have that code.
Finding Refused(const absl::Status& status, absl::StatusCode code, const std::string& what);

// Largest |got - want| / scale over all values, scale[i] > 0, and where it is.
Finding Compare(std::span<const float> got, std::span<const double> want,
                std::span<const double> scale, int64_t width, double tolerance);
// The same with one scale: the largest |want|.
Finding CompareToLargest(std::span<const float> got, std::span<const double> want, int64_t width,
                         double tolerance);

using CheckFunction = std::function<absl::StatusOr<Finding>(Bench& bench)>;

struct Check {
  std::string name;
  bool heavy = false;  // not with Options::quick
  CheckFunction run;
};

// `run` over weights of `type`: skipped if the device need not have them and says that it has not.
CheckFunction OfType(WeightType type, CheckFunction run);

// One list per family of operations.
std::vector<Check> PluginChecks();
std::vector<Check> MemoryChecks();
std::vector<Check> PackChecks();
std::vector<Check> RowChecks();
std::vector<Check> MatMulChecks();
std::vector<Check> AttentionChecks();
std::vector<Check> MoeChecks();
std::vector<Check> CollectiveChecks();
std::vector<Check> FaultChecks();

}  // namespace vallm::engine::conformance

#endif  // VALLM_ENGINE_SERVICE_DEVICE_CONFORMANCE_CHECK_H_
