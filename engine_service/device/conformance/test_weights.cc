#include "engine_service/device/conformance/test_weights.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace vallm::engine::conformance {
namespace {

int64_t ElementBytes(WeightType type) {
  return type == WeightType::kBf16 || type == WeightType::kF16 ? 2 : 1;
}

// Eight random bytes as elements of the type.
uint64_t Elements(WeightType type, uint64_t bits) {
  switch (type) {
    case WeightType::kBf16:  // magnitudes 1/8 to 2
      return (bits & 0x81ff81ff81ff81ffu) | 0x3e003e003e003e00u;
    case WeightType::kF16:  // magnitudes 1/8 to 2, or subnormal
      return (bits & 0x1000) != 0 ? (bits & 0x8fff8fff8fff8fffu) | 0x3000300030003000u
                                  : bits & 0x83ff83ff83ff83ffu;
    case WeightType::kF8E4m3: {  // everything but NaN
      for (int byte = 0; byte < 8; ++byte) {
        if ((bits >> 8 * byte & 0x7f) == 0x7f) bits ^= uint64_t{1} << 8 * byte;
      }
      return bits;
    }
    case WeightType::kUint4:
      return bits & 0x0f0f0f0f0f0f0f0fu;
    case WeightType::kUint8:
      return bits;
  }
  return bits;
}

}  // namespace

uint64_t Random::Next() {
  uint64_t z = state_ += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

float Random::Uniform() {
  return static_cast<float>(static_cast<int32_t>(Next() >> 40) - (1 << 23)) * 0x1p-23f;
}

std::vector<float> RandomFloats(int64_t count, uint64_t seed) {
  Random random(seed);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& x : values) x = 2 * random.Uniform();
  return values;
}

double Bf16ToDouble(uint16_t raw) { return std::bit_cast<float>(uint32_t{raw} << 16); }

uint16_t FloatToBf16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

double F16ToDouble(uint16_t raw) {
  // As a float the exponent is 112 less; subnormals are normal there after one exact product.
  const float magnitude = std::bit_cast<float>(uint32_t{raw & 0x7fffu} << 13) * 0x1p112f;
  return (raw & 0x8000) != 0 ? -magnitude : magnitude;
}

double E4m3ToDouble(uint8_t raw) {
  const float magnitude = std::bit_cast<float>(uint32_t{raw & 0x7fu} << 20) * 0x1p120f;
  return (raw & 0x80) != 0 ? -magnitude : magnitude;
}

double NearestE4m3(float x) {
  // Codes 0 to 0x7e are in the order of their values, and an even code has an even significand.
  const double magnitude = std::min(std::abs(double{x}), 448.0);
  uint8_t best = 0;
  for (uint8_t code = 1; code < 0x7f; ++code) {
    const double closer = std::abs(E4m3ToDouble(best) - magnitude);
    const double here = std::abs(E4m3ToDouble(code) - magnitude);
    if (here < closer || (here == closer && code % 2 == 0)) best = code;
  }
  return std::copysign(E4m3ToDouble(best), x);
}

std::string_view WeightTypeName(WeightType type) {
  switch (type) {
    case WeightType::kBf16:
      return "bf16";
    case WeightType::kF16:
      return "f16";
    case WeightType::kF8E4m3:
      return "f8_e4m3";
    case WeightType::kUint4:
      return "uint4";
    case WeightType::kUint8:
      return "uint8";
  }
  return "?";
}

TestMatrix::TestMatrix(int64_t rows, int64_t cols, WeightType type, uint64_t seed)
    : rows_(rows), cols_(cols), type_(type) {
  Random random(seed);
  data_.resize(static_cast<size_t>((rows * cols * ElementBytes(type) + 7) / 8));
  for (uint64_t& word : data_) word = Elements(type, random.Next());
  if (!IsScaled(type)) return;
  block_rows_ = type == WeightType::kF8E4m3 ? 128 : 1;
  block_cols_ = 128;
  scale_cols_ = (cols + block_cols_ - 1) / block_cols_;
  const int64_t blocks = (rows + block_rows_ - 1) / block_rows_ * scale_cols_;
  for (int64_t i = 0; i < blocks; ++i) {
    scales_.push_back(0.01f * (1.5f + random.Uniform()));
    if (type == WeightType::kF8E4m3) continue;
    const uint64_t range = type == WeightType::kUint4 ? 17 : 257;  // stored zeros count from 1
    zeros_.push_back(static_cast<int16_t>(random.Next() % range));
  }
}

WeightSlice TestMatrix::Slice(int64_t row_begin, int64_t rows, int64_t col_begin,
                              int64_t cols) const {
  return {.type = type_,
          .data = data_.data(),
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

std::vector<double> TestMatrix::Row(int64_t row, int64_t col_begin, int64_t cols) const {
  const auto* halves = reinterpret_cast<const uint16_t*>(data_.data());
  const auto* bytes = reinterpret_cast<const uint8_t*>(data_.data());
  std::vector<double> values(static_cast<size_t>(cols));
  for (int64_t i = 0; i < cols; ++i) {
    const int64_t at = row * cols_ + col_begin + i;
    double& value = values[static_cast<size_t>(i)];
    if (type_ == WeightType::kBf16) {
      value = Bf16ToDouble(halves[at]);
      continue;
    }
    if (type_ == WeightType::kF16) {
      value = F16ToDouble(halves[at]);
      continue;
    }
    const size_t block =
        static_cast<size_t>(row / block_rows_ * scale_cols_ + (col_begin + i) / block_cols_);
    value = type_ == WeightType::kF8E4m3 ? E4m3ToDouble(bytes[at])
                                         : static_cast<double>(bytes[at]) - zeros_[block];
    value *= double{scales_[block]};
  }
  return values;
}

}  // namespace vallm::engine::conformance
