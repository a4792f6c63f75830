// A window of a weight matrix as it lies in a checkpoint: what a rank hands to its device to pack.
//
// A view: it owns nothing. The window may start and end anywhere; the scales are those of the whole
// matrix and are looked up by global row and column, so that a shard may cut a quantisation block.
#ifndef VALLM_ENGINE_SERVICE_DEVICE_WEIGHT_SLICE_H_
#define VALLM_ENGINE_SERVICE_DEVICE_WEIGHT_SLICE_H_

#include <cstdint>

namespace vallm::engine {

enum class WeightType {
  kBf16,    // the upper half of an IEEE float
  kF16,     // IEEE half
  kF8E4m3,  // 1 sign, 4 exponent (bias 7), 3 mantissa bits; no infinity; 0x7f and 0xff are NaN
  kUint4,   // 0..15, one to a byte; from a GPTQ or AWQ checkpoint, unpacked
  kUint8,   // 0..255
};

// Whether weights of the type are `data` values times scales, rather than the values themselves.
inline constexpr bool IsScaled(WeightType type) {
  return type != WeightType::kBf16 && type != WeightType::kF16;
}

inline constexpr bool HasZeros(WeightType type) {
  return type == WeightType::kUint4 || type == WeightType::kUint8;
}

struct WeightSlice {
  WeightType type = WeightType::kBf16;
  const void* data = nullptr;  // the whole matrix, [*, matrix_cols] row-major
  int64_t matrix_cols = 0;
  int64_t row_begin = 0, row_count = 0;  // window, in rows (output features) of the whole matrix
  int64_t col_begin = 0, col_count = 0;  // window, in columns (input features)

  // Scaled types only. With b = [r / block_rows, c / block_cols]:
  //   kF8E4m3:         weight[r, c] = data[r, c] * scales[b]
  //   kUint4, kUint8:  weight[r, c] = (data[r, c] - zeros[b]) * scales[b]
  const float* scales = nullptr;   // [*, scale_cols]
  const int16_t* zeros = nullptr;  // [*, scale_cols], 0..256; integer types only
  int64_t scale_cols = 0;
  int32_t block_rows = 0, block_cols = 0;
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_DEVICE_WEIGHT_SLICE_H_
