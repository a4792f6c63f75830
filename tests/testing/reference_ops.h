// Double-precision twins of device operations, and the means to drive a device from host vectors.
#ifndef VALLM_TESTS_TESTING_REFERENCE_OPS_H_
#define VALLM_TESTS_TESTING_REFERENCE_OPS_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine_service/device/device.h"

namespace vallm::testing {

double E4m3ToDouble(uint8_t raw);
double Bf16ToDouble(uint16_t raw);
uint16_t DoubleToBf16(double x);  // nearest even

double F16ToDouble(uint16_t raw);

// A matrix as a checkpoint would hold it, with random finite weights, and its values. Scales are
// those of a release: 128 x 128 blocks of e4m3, groups of `group` columns of integers.
struct HostMatrix {
  HostMatrix(int64_t rows, int64_t cols, engine::WeightType type, uint32_t seed,
             int32_t group = 32);
  // The window [row_begin, +rows) x [col_begin, +cols).
  engine::WeightSlice Slice(int64_t row_begin, int64_t rows, int64_t col_begin, int64_t cols) const;
  engine::WeightSlice Whole() const { return Slice(0, rows_, 0, cols_); }
  double At(int64_t row, int64_t col) const;

  int64_t rows_, cols_;
  engine::WeightType type_;
  std::vector<uint8_t> bytes_;
  int32_t block_rows_, block_cols_;
  int64_t scale_cols_;
  std::vector<float> scales_;
  std::vector<int16_t> zeros_;
};

// "Bf16", "E4m3", …: for the names of parametrised tests.
const char* WeightTypeName(engine::WeightType type);

std::vector<float> RandomFloats(int64_t count, uint32_t seed);

template <typename T>
std::unique_ptr<engine::Buffer> ToDevice(engine::Device& device, const std::vector<T>& values) {
  auto buffer = device.Allocate(static_cast<int64_t>(values.size() * sizeof(T)));
  if (!buffer.ok() || !device.Upload(std::as_bytes(std::span(values)), **buffer).ok())
    return nullptr;
  return *std::move(buffer);
}

template <typename T>
std::vector<T> FromDevice(engine::Device& device, const engine::Buffer& buffer, int64_t count) {
  std::vector<T> values(count);
  if (!device.Download(buffer, std::as_writable_bytes(std::span(values))).ok()) values.clear();
  return values;
}

// Largest |a - b| over the largest |b| (at least 1e-30); infinity if sizes differ.
double RelativeError(std::span<const float> a, std::span<const double> b);

}  // namespace vallm::testing

#endif  // VALLM_TESTS_TESTING_REFERENCE_OPS_H_
