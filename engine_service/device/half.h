// IEEE half precision by hand: GCC 12 and clang 14 have no type for it that works on every target.
#ifndef VALLM_ENGINE_SERVICE_DEVICE_HALF_H_
#define VALLM_ENGINE_SERVICE_DEVICE_HALF_H_

#include <bit>
#include <cstdint>

namespace vallm::engine {

// The value of an IEEE half: 1 sign, 5 exponent (bias 15), 10 mantissa bits. Exact, subnormals,
// infinities and NaN included.
inline float HalfToFloat(uint16_t half) {
  const uint32_t sign = uint32_t{half & 0x8000u} << 16;
  const uint32_t magnitude = half & 0x7fffu;
  if (magnitude >= 0x7c00) return std::bit_cast<float>(sign | 0x7f800000 | magnitude << 13);
  // Moved to where a float has them, exponent and mantissa mean 2^(15 - 127) times the value,
  // subnormals as well; the product is exact.
  return std::bit_cast<float>(
      sign | std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude << 13) * 0x1p112f));
}

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_DEVICE_HALF_H_
