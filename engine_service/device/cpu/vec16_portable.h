// Sixteen floats in plain C++: the definition that the other vec16_*.h must equal bit for bit.
// Included by kernels_portable.cc alone.
#ifndef VALLM_ENGINE_SERVICE_DEVICE_CPU_VEC16_PORTABLE_H_
#define VALLM_ENGINE_SERVICE_DEVICE_CPU_VEC16_PORTABLE_H_

#include <stdint.h>

namespace vallm::engine {
namespace {

struct Vec {
  float v[16];
};

template <typename F>
inline Vec EachLane(F f) {
  Vec out;
  for (int i = 0; i < 16; ++i) out.v[i] = f(i);
  return out;
}

inline Vec Set1(float x) {
  return EachLane([&](int) { return x; });
}
inline Vec Zero() { return Set1(0); }
inline Vec Load(const float* p) {
  return EachLane([&](int i) { return p[i]; });
}
inline void Store(float* p, Vec a) {
  for (int i = 0; i < 16; ++i) p[i] = a.v[i];
}
// The first n lanes, 0 <= n <= 16, the others zero; memory beyond them is not touched.
inline Vec LoadFirst(const float* p, int n) {
  return EachLane([&](int i) { return i < n ? p[i] : 0.0f; });
}
inline void StoreFirst(float* p, Vec a, int n) {
  for (int i = 0; i < n; ++i) p[i] = a.v[i];
}
// a * b + c with one rounding.
inline Vec Fma(Vec a, Vec b, Vec c) {
  return EachLane([&](int i) { return __builtin_fmaf(a.v[i], b.v[i], c.v[i]); });
}
inline Vec Add(Vec a, Vec b) {
  return EachLane([&](int i) { return a.v[i] + b.v[i]; });
}
inline Vec Sub(Vec a, Vec b) {
  return EachLane([&](int i) { return a.v[i] - b.v[i]; });
}
inline Vec Mul(Vec a, Vec b) {
  return EachLane([&](int i) { return a.v[i] * b.v[i]; });
}
inline Vec Div(Vec a, Vec b) {
  return EachLane([&](int i) { return a.v[i] / b.v[i]; });
}
// b where either is NaN.
inline Vec Max(Vec a, Vec b) {
  return EachLane([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
inline Vec Min(Vec a, Vec b) {
  return EachLane([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}
// 0 where a < limit, else x.
inline Vec ZeroWhereLess(Vec a, Vec limit, Vec x) {
  return EachLane([&](int i) { return a.v[i] < limit.v[i] ? 0.0f : x.v[i]; });
}
// The first n lanes of a, 0 <= n <= 16, the others of b.
inline Vec FirstOr(int n, Vec a, Vec b) {
  return EachLane([&](int i) { return i < n ? a.v[i] : b.v[i]; });
}
// 2^n for whole n in [-126, 127].
inline Vec Pow2(Vec n) {
  return EachLane([&](int i) {
    const uint32_t bits = static_cast<uint32_t>(static_cast<int32_t>(n.v[i]) + 127) << 23;
    return __builtin_bit_cast(float, bits);
  });
}

// Halves added lane by lane until one is left: 16, 8, 4, 2, 1.
inline float ReduceAdd(Vec a) {
  for (int width = 8; width >= 1; width /= 2) {
    for (int i = 0; i < width; ++i) a.v[i] += a.v[i + width];
  }
  return a.v[0];
}
inline float ReduceMax(Vec a) {
  float max = a.v[0];
  for (int i = 1; i < 16; ++i) max = a.v[i] > max ? a.v[i] : max;
  return max;
}

inline float Bf16ToFloat(uint16_t raw) {
  return __builtin_bit_cast(float, static_cast<uint32_t>(raw) << 16);
}
inline Vec LoadBf16(const uint16_t* p) {
  return EachLane([&](int i) { return Bf16ToFloat(p[i]); });
}
// The e4m3 value times 2^-8, exactly: its bits read as an IEEE half have that value, subnormals
// included. NaN encodings are refused when weights are packed.
inline float E4m3Times2Minus8(uint8_t raw) {
  const int exponent = raw >> 3 & 15;
  const int mantissa = raw & 7;
  const uint32_t normal =
      static_cast<uint32_t>(exponent + 127 - 7 - 8) << 23 | static_cast<uint32_t>(mantissa) << 20;
  const float magnitude =
      exponent == 0 ? static_cast<float>(mantissa) * 0x1p-17f : __builtin_bit_cast(float, normal);
  return (raw & 0x80) != 0 ? -magnitude : magnitude;
}
inline Vec LoadE4m3(const uint8_t* p) {
  return EachLane([&](int i) { return E4m3Times2Minus8(p[i]); });
}

// Weights of sixteen output features and two consecutive input features, [16][2] in memory: a gets
// the first, b the second input feature. Exact in every format; e4m3 times 2^-8, as above.
inline void LoadBf16Pairs(const uint8_t* p, Vec& a, Vec& b) {
  const auto* raw = reinterpret_cast<const uint16_t*>(p);
  a = EachLane([&](int i) { return Bf16ToFloat(raw[2 * i]); });
  b = EachLane([&](int i) { return Bf16ToFloat(raw[2 * i + 1]); });
}
inline float F16ToFloat(uint16_t raw) {
  const int exponent = raw >> 10 & 31;
  const uint32_t mantissa = raw & 0x3ff;
  float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
  if (exponent != 0) {
    const uint32_t biased = exponent == 31 ? 255 : static_cast<uint32_t>(exponent + 127 - 15);
    magnitude = __builtin_bit_cast(float, biased << 23 | mantissa << 13);
  }
  return (raw & 0x8000) != 0 ? -magnitude : magnitude;
}
inline void LoadF16Pairs(const uint8_t* p, Vec& a, Vec& b) {
  const auto* raw = reinterpret_cast<const uint16_t*>(p);
  a = EachLane([&](int i) { return F16ToFloat(raw[2 * i]); });
  b = EachLane([&](int i) { return F16ToFloat(raw[2 * i + 1]); });
}
inline void LoadE4m3Pairs(const uint8_t* p, Vec& a, Vec& b) {
  a = EachLane([&](int i) { return E4m3Times2Minus8(p[2 * i]); });
  b = EachLane([&](int i) { return E4m3Times2Minus8(p[2 * i + 1]); });
}
inline void LoadUint8Pairs(const uint8_t* p, Vec& a, Vec& b) {
  a = EachLane([&](int i) { return static_cast<float>(p[2 * i]); });
  b = EachLane([&](int i) { return static_cast<float>(p[2 * i + 1]); });
}
// A byte holds both: the first input feature in its low half.
inline void LoadUint4Pairs(const uint8_t* p, Vec& a, Vec& b) {
  a = EachLane([&](int i) { return static_cast<float>(p[i] & 15); });
  b = EachLane([&](int i) { return static_cast<float>(p[i] >> 4); });
}

}  // namespace
}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_DEVICE_CPU_VEC16_PORTABLE_H_
