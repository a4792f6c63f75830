// Random inputs for checks: matrices as a checkpoint would hold them, of every weight type, with
// their values in double precision, and vectors. The same seed gives the same values everywhere.
#ifndef VALLM_ENGINE_SERVICE_DEVICE_CONFORMANCE_TEST_WEIGHTS_H_
#define VALLM_ENGINE_SERVICE_DEVICE_CONFORMANCE_TEST_WEIGHTS_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "engine_service/device/device.h"

namespace vallm::engine::conformance {

// SplitMix64.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next();
  // Uniform in [-1, 1).
  float Uniform();

 private:
  uint64_t state_;
};

std::vector<float> RandomFloats(int64_t count, uint64_t seed);

double Bf16ToDouble(uint16_t raw);
uint16_t FloatToBf16(float x);  // nearest, ties to even; finite
double F16ToDouble(uint16_t raw);
double E4m3ToDouble(uint8_t raw);
double NearestE4m3(float x);  // ties to even, at most +-448; not NaN

// How names of checks spell it, e.g. "f8_e4m3".
std::string_view WeightTypeName(WeightType type);
inline constexpr WeightType kWeightTypes[] = {WeightType::kBf16, WeightType::kF16,
                                              WeightType::kF8E4m3, WeightType::kUint4,
                                              WeightType::kUint8};
// What every device has to have.
inline constexpr bool IsRequired(WeightType type) {
  return type == WeightType::kBf16 || type == WeightType::kF8E4m3;
}

class TestMatrix {
 public:
  // Blocks as checkpoints of the type have them: 128 x 128 for e4m3, 1 x 128 for integers. Weights
  // are finite and of both signs.
  TestMatrix(int64_t rows, int64_t cols, WeightType type, uint64_t seed);

  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  WeightSlice Whole() const { return Slice(0, rows_, 0, cols_); }
  WeightSlice Slice(int64_t row_begin, int64_t rows, int64_t col_begin, int64_t cols) const;
  // Values of a row's window, exactly.
  std::vector<double> Row(int64_t row, int64_t col_begin, int64_t cols) const;

 private:
  int64_t rows_, cols_;
  WeightType type_;
  std::vector<uint64_t> data_;  // elements, packed
  std::vector<float> scales_;
  std::vector<int16_t> zeros_;
  int32_t block_rows_ = 0, block_cols_ = 0;
  int64_t scale_cols_ = 0;
};

}  // namespace vallm::engine::conformance

#endif  // VALLM_ENGINE_SERVICE_DEVICE_CONFORMANCE_TEST_WEIGHTS_H_
