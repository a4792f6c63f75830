// Sixteen floats in two AVX2 registers. vec16_portable.h says what each function does.
// Included by kernels_avx2.cc alone.
#ifndef VALLM_ENGINE_SERVICE_DEVICE_CPU_VEC16_AVX2_H_
#define VALLM_ENGINE_SERVICE_DEVICE_CPU_VEC16_AVX2_H_

#include <immintrin.h>
#include <stdint.h>

#include "engine_service/device/cpu/memory_checks.h"

namespace vallm::engine {
namespace {

struct Vec {
  __m256 lo, hi;
};

inline Vec Set1(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
inline Vec Zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
inline Vec Load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline void Store(float* p, Vec a) {
  _mm256_storeu_ps(p, a.lo);
  _mm256_storeu_ps(p + 8, a.hi);
}
// All ones in the first n lanes, for n <= 8 after clamping.
inline __m256i FirstMask(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
inline Vec LoadFirst(const float* p, int n) {
  CheckAccess(p, int64_t{n} * 4);
  return {_mm256_maskload_ps(p, FirstMask(n)), _mm256_maskload_ps(p + 8, FirstMask(n - 8))};
}
inline void StoreFirst(float* p, Vec a, int n) {
  CheckAccess(p, int64_t{n} * 4);
  _mm256_maskstore_ps(p, FirstMask(n), a.lo);
  _mm256_maskstore_ps(p + 8, FirstMask(n - 8), a.hi);
}
inline Vec Fma(Vec a, Vec b, Vec c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
inline Vec Add(Vec a, Vec b) { return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)}; }
inline Vec Sub(Vec a, Vec b) { return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)}; }
inline Vec Mul(Vec a, Vec b) { return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)}; }
inline Vec Div(Vec a, Vec b) { return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)}; }
inline Vec Max(Vec a, Vec b) { return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)}; }
inline Vec Min(Vec a, Vec b) { return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)}; }
inline Vec ZeroWhereLess(Vec a, Vec limit, Vec x) {
  return {_mm256_and_ps(_mm256_cmp_ps(a.lo, limit.lo, _CMP_NLT_UQ), x.lo),
          _mm256_and_ps(_mm256_cmp_ps(a.hi, limit.hi, _CMP_NLT_UQ), x.hi)};
}
inline Vec FirstOr(int n, Vec a, Vec b) {
  return {_mm256_blendv_ps(b.lo, a.lo, _mm256_castsi256_ps(FirstMask(n))),
          _mm256_blendv_ps(b.hi, a.hi, _mm256_castsi256_ps(FirstMask(n - 8)))};
}
inline __m256 Pow2Half(__m256 n) {
  const __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
  return _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));
}
inline Vec Pow2(Vec n) { return {Pow2Half(n.lo), Pow2Half(n.hi)}; }

inline float ReduceAdd(Vec a) {
  const __m256 s8 = _mm256_add_ps(a.lo, a.hi);
  const __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
  const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
  return _mm_cvtss_f32(_mm_add_ss(s2, _mm_shuffle_ps(s2, s2, 1)));
}
inline float ReduceMax(Vec a) {
  const __m256 s8 = _mm256_max_ps(a.lo, a.hi);
  const __m128 s4 = _mm_max_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
  const __m128 s2 = _mm_max_ps(s4, _mm_movehl_ps(s4, s4));
  return _mm_cvtss_f32(_mm_max_ss(s2, _mm_shuffle_ps(s2, s2, 1)));
}

inline __m256 LoadBf16Half(const uint16_t* p) {
  const __m128i raw = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(raw), 16));
}
inline Vec LoadBf16(const uint16_t* p) { return {LoadBf16Half(p), LoadBf16Half(p + 8)}; }
inline Vec LoadE4m3(const uint8_t* p) {
  const __m128i raw = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  const __m256i shifted = _mm256_slli_epi16(_mm256_cvtepi8_epi16(raw), 7);
  const __m256i half = _mm256_and_si256(shifted, _mm256_set1_epi16(static_cast<short>(0xbfff)));
  return {_mm256_cvtph_ps(_mm256_castsi256_si128(half)),
          _mm256_cvtph_ps(_mm256_extracti128_si256(half, 1))};
}

inline __m256i LoadRaw256(const uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
inline __m128i LoadRaw128(const uint8_t* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
inline void LoadBf16Pairs(const uint8_t* p, Vec& a, Vec& b) {
  const __m256i lo = LoadRaw256(p), hi = LoadRaw256(p + 32);
  const __m256i upper = _mm256_set1_epi32(static_cast<int>(0xffff0000u));
  a = {_mm256_castsi256_ps(_mm256_slli_epi32(lo, 16)),
       _mm256_castsi256_ps(_mm256_slli_epi32(hi, 16))};
  b = {_mm256_castsi256_ps(_mm256_and_si256(lo, upper)),
       _mm256_castsi256_ps(_mm256_and_si256(hi, upper))};
}
// Eight pairs of halves: the first of each as floats, and the second.
inline __m256 FirstHalves(__m256i pairs) {
  const __m256i low = _mm256_and_si256(pairs, _mm256_set1_epi32(0xffff));
  const __m256i packed = _mm256_packus_epi32(low, low);  // per 128 bits
  return _mm256_cvtph_ps(_mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08)));
}
inline __m256 SecondHalves(__m256i pairs) { return FirstHalves(_mm256_srli_epi32(pairs, 16)); }
inline void LoadF16Pairs(const uint8_t* p, Vec& a, Vec& b) {
  const __m256i lo = LoadRaw256(p), hi = LoadRaw256(p + 32);
  a = {FirstHalves(lo), FirstHalves(hi)};
  b = {SecondHalves(lo), SecondHalves(hi)};
}
// Sixteen words of two e4m3 each, as halves: exponent and mantissa one bit right of the sign.
inline __m256i E4m3ToHalf(__m256i upper_bytes) {
  return _mm256_and_si256(_mm256_srai_epi16(upper_bytes, 1),
                          _mm256_set1_epi16(static_cast<short>(0xbf80)));
}
inline Vec HalvesToFloat(__m256i halves) {
  return {_mm256_cvtph_ps(_mm256_castsi256_si128(halves)),
          _mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1))};
}
inline void LoadE4m3Pairs(const uint8_t* p, Vec& a, Vec& b) {
  const __m256i raw = LoadRaw256(p);
  a = HalvesToFloat(E4m3ToHalf(_mm256_slli_epi16(raw, 8)));
  b = HalvesToFloat(E4m3ToHalf(raw));
}
inline __m256 WordsToFloat(__m128i words) {
  return _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(words));
}
inline void LoadUint8Pairs(const uint8_t* p, Vec& a, Vec& b) {
  const __m128i lo = LoadRaw128(p), hi = LoadRaw128(p + 16);
  const __m128i low_byte = _mm_set1_epi16(0xff);
  a = {WordsToFloat(_mm_and_si128(lo, low_byte)), WordsToFloat(_mm_and_si128(hi, low_byte))};
  b = {WordsToFloat(_mm_srli_epi16(lo, 8)), WordsToFloat(_mm_srli_epi16(hi, 8))};
}
inline __m256 BytesToFloat(__m128i bytes) {
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
}
inline void LoadUint4Pairs(const uint8_t* p, Vec& a, Vec& b) {
  const __m128i raw = LoadRaw128(p);
  const __m128i nibble = _mm_set1_epi8(15);
  const __m128i first = _mm_and_si128(raw, nibble);
  const __m128i second = _mm_and_si128(_mm_srli_epi16(raw, 4), nibble);
  a = {BytesToFloat(first), BytesToFloat(_mm_srli_si128(first, 8))};
  b = {BytesToFloat(second), BytesToFloat(_mm_srli_si128(second, 8))};
}

}  // namespace
}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_DEVICE_CPU_VEC16_AVX2_H_
