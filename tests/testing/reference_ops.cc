#include "tests/testing/reference_ops.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

namespace vallm::testing {

using engine::WeightSlice;
using engine::WeightType;

double E4m3ToDouble(uint8_t raw) {
  const int exponent = raw >> 3 & 15, mantissa = raw & 7;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
  return (raw & 0x80) != 0 ? -magnitude : magnitude;
}

double Bf16ToDouble(uint16_t raw) { return std::bit_cast<float>(uint32_t{raw} << 16); }

uint16_t DoubleToBf16(double x) {
  const uint32_t bits = std::bit_cast<uint32_t>(static_cast<float>(x));
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

HostMatrix::HostMatrix(int64_t rows, int64_t cols, WeightType type, uint32_t seed)
    : rows_(rows), cols_(cols), type_(type) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  if (type == WeightType::kBf16) {
    bytes_.resize(rows * cols * 2);
    for (int64_t i = 0; i < rows * cols; ++i) {
      const uint16_t raw = DoubleToBf16(normal(random));
      std::memcpy(bytes_.data() + 2 * i, &raw, 2);
    }
    return;
  }
  for (int64_t i = 0; i < rows * cols; ++i) {
    uint8_t raw = static_cast<uint8_t>(random());
    if ((raw & 0x7f) == 0x7f) raw ^= 1;  // no NaN
    bytes_.push_back(raw);
  }
  for (int64_t i = 0; i < ((rows + 127) / 128) * ((cols + 127) / 128); ++i) {
    scales_.push_back(static_cast<float>(0.001 * (1 + std::abs(normal(random)))));
  }
}

WeightSlice HostMatrix::Slice(int64_t row_begin, int64_t rows, int64_t col_begin,
                              int64_t cols) const {
  return {.type = type_,
          .data = bytes_.data(),
          .matrix_cols = cols_,
          .row_begin = row_begin,
          .row_count = rows,
          .col_begin = col_begin,
          .col_count = cols,
          .scales = scales_.data(),
          .scale_cols = (cols_ + 127) / 128,
          .block_rows = 128,
          .block_cols = 128};
}

double HostMatrix::At(int64_t row, int64_t col) const {
  const int64_t i = row * cols_ + col;
  if (type_ == WeightType::kBf16) {
    uint16_t raw = 0;
    std::memcpy(&raw, bytes_.data() + 2 * i, 2);
    return Bf16ToDouble(raw);
  }
  const float scale = scales_[row / 128 * ((cols_ + 127) / 128) + col / 128];
  return E4m3ToDouble(bytes_[i]) * double{scale};
}

std::vector<float> RandomFloats(int64_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& x : values) x = normal(random);
  return values;
}

double RelativeError(std::span<const float> a, std::span<const double> b) {
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double error = 0, size = 1e-30;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(a[i] - b[i]);
    if (!(difference <= error)) error = difference;  // a NaN stays
    size = std::max(size, std::abs(b[i]));
  }
  return error / size;
}

}  // namespace vallm::testing
