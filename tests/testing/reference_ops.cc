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

double F16ToDouble(uint16_t raw) {
  const int exponent = raw >> 10 & 31, mantissa = raw & 0x3ff;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(0x400 + mantissa, exponent - 25);
  return (raw & 0x8000) != 0 ? -magnitude : magnitude;
}

HostMatrix::HostMatrix(int64_t rows, int64_t cols, WeightType type, uint32_t seed, int32_t group)
    : rows_(rows),
      cols_(cols),
      type_(type),
      block_rows_(HasZeros(type) ? 1 : 128),
      block_cols_(HasZeros(type) ? group : 128),
      scale_cols_((cols + block_cols_ - 1) / block_cols_) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  if (!IsScaled(type)) {
    bytes_.resize(rows * cols * 2);
    for (int64_t i = 0; i < rows * cols; ++i) {
      uint16_t raw = DoubleToBf16(normal(random));
      if (type == WeightType::kF16) {
        raw = static_cast<uint16_t>(random());
        raw &= 0xbfff;  // exponents up to 15: below 2, and subnormals
      }
      std::memcpy(bytes_.data() + 2 * i, &raw, 2);
    }
    return;
  }
  for (int64_t i = 0; i < rows * cols; ++i) {
    uint8_t raw = static_cast<uint8_t>(random());
    if (type == WeightType::kF8E4m3 && (raw & 0x7f) == 0x7f) raw ^= 1;  // no NaN
    // Long stretches without subnormals, as in trained weights, and others with many.
    const bool all_normal = i % cols / 64 % 2 == 0;
    if (type == WeightType::kF8E4m3 && all_normal && (raw & 0x78) == 0) raw |= 8;
    if (type == WeightType::kUint4) raw &= 15;
    bytes_.push_back(raw);
  }
  for (int64_t i = 0; i < ((rows + block_rows_ - 1) / block_rows_) * scale_cols_; ++i) {
    scales_.push_back(static_cast<float>(0.001 * (1 + std::abs(normal(random)))));
    if (HasZeros(type)) {
      zeros_.push_back(static_cast<int16_t>(random() % (type == WeightType::kUint4 ? 17 : 257)));
    }
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
          .scales = scales_.empty() ? nullptr : scales_.data(),
          .zeros = zeros_.empty() ? nullptr : zeros_.data(),
          .scale_cols = scale_cols_,
          .block_rows = block_rows_,
          .block_cols = block_cols_};
}

double HostMatrix::At(int64_t row, int64_t col) const {
  const int64_t i = row * cols_ + col;
  uint16_t half = 0;
  if (!IsScaled(type_)) std::memcpy(&half, bytes_.data() + 2 * i, 2);
  if (type_ == WeightType::kBf16) return Bf16ToDouble(half);
  if (type_ == WeightType::kF16) return F16ToDouble(half);
  const int64_t block = row / block_rows_ * scale_cols_ + col / block_cols_;
  const double value = type_ == WeightType::kF8E4m3
                           ? E4m3ToDouble(bytes_[i])
                           : static_cast<double>(bytes_[i]) - zeros_[block];
  return value * double{scales_[block]};
}

const char* WeightTypeName(WeightType type) {
  switch (type) {
    case WeightType::kBf16:
      return "Bf16";
    case WeightType::kF16:
      return "F16";
    case WeightType::kF8E4m3:
      return "E4m3";
    case WeightType::kUint8:
      return "Uint8";
    case WeightType::kUint4:
      return "Uint4";
  }
  return "Unknown";
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
