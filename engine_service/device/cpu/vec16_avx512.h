// Sixteen floats in one AVX-512 register. vec16_portable.h says what each function does.
// Included by kernels_avx512.cc and kernels_amx.cc alone.
#ifndef VALLM_ENGINE_SERVICE_DEVICE_CPU_VEC16_AVX512_H_
#define VALLM_ENGINE_SERVICE_DEVICE_CPU_VEC16_AVX512_H_

#include <immintrin.h>
#include <stdint.h>

#include "engine_service/device/cpu/memory_checks.h"

namespace vallm::engine {
namespace {

struct Vec {
  __m512 v;
};

inline Vec Set1(float x) { return {_mm512_set1_ps(x)}; }
inline Vec Zero() { return {_mm512_setzero_ps()}; }
inline Vec Load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline void Store(float* p, Vec a) { _mm512_storeu_ps(p, a.v); }
inline Vec LoadFirst(const float* p, int n) {
  CheckAccess(p, int64_t{n} * 4);
  return {_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p)};
}
inline void StoreFirst(float* p, Vec a, int n) {
  CheckAccess(p, int64_t{n} * 4);
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), a.v);
}
inline Vec Fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline Vec Add(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Vec Sub(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Vec Mul(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Vec Div(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Vec Max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
inline Vec Min(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Vec ZeroWhereLess(Vec a, Vec limit, Vec x) {
  return {_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a.v, limit.v, _CMP_NLT_UQ), x.v)};
}
inline Vec FirstOr(int n, Vec a, Vec b) {
  return {_mm512_mask_mov_ps(b.v, static_cast<__mmask16>((1u << n) - 1), a.v)};
}
inline Vec Pow2(Vec n) {
  const __m512i biased = _mm512_add_epi32(_mm512_cvtps_epi32(n.v), _mm512_set1_epi32(127));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(biased, 23))};
}

inline float ReduceAdd(Vec a) {
  const __m256 low = _mm512_castps512_ps256(a.v);
  const __m256 high = _mm512_extractf32x8_ps(a.v, 1);
  const __m256 s8 = _mm256_add_ps(low, high);
  const __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
  const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
  return _mm_cvtss_f32(_mm_add_ss(s2, _mm_shuffle_ps(s2, s2, 1)));
}
inline float ReduceMax(Vec a) { return _mm512_reduce_max_ps(a.v); }

inline Vec LoadBf16(const uint16_t* p) {
  const __m256i raw = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(raw), 16))};
}
inline Vec LoadE4m3(const uint8_t* p) {
  const __m128i raw = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  const __m256i shifted = _mm256_slli_epi16(_mm256_cvtepi8_epi16(raw), 7);
  const __m256i half = _mm256_and_si256(shifted, _mm256_set1_epi16(static_cast<short>(0xbfff)));
  return {_mm512_cvtph_ps(half)};
}

inline __m256i LoadRaw256(const uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
inline void LoadBf16Pairs(const uint8_t* p, Vec& a, Vec& b) {
  const __m512i raw = _mm512_loadu_si512(p);
  a = {_mm512_castsi512_ps(_mm512_slli_epi32(raw, 16))};
  b = {
      _mm512_castsi512_ps(_mm512_and_si512(raw, _mm512_set1_epi32(static_cast<int>(0xffff0000u))))};
}
inline void LoadF16Pairs(const uint8_t* p, Vec& a, Vec& b) {
  const __m512i raw = _mm512_loadu_si512(p);
  a = {_mm512_cvtph_ps(_mm512_cvtepi32_epi16(raw))};
  b = {_mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(raw, 16)))};
}
// Sixteen words of two e4m3 each, as halves: exponent and mantissa one bit right of the sign.
inline __m256i E4m3ToHalf(__m256i upper_bytes) {
  return _mm256_and_si256(_mm256_srai_epi16(upper_bytes, 1),
                          _mm256_set1_epi16(static_cast<short>(0xbf80)));
}
inline void LoadE4m3Pairs(const uint8_t* p, Vec& a, Vec& b) {
  const __m256i raw = LoadRaw256(p);
  a = {_mm512_cvtph_ps(E4m3ToHalf(_mm256_slli_epi16(raw, 8)))};
  b = {_mm512_cvtph_ps(E4m3ToHalf(raw))};
}
inline Vec WordsToFloat(__m256i words) {
  return {_mm512_cvtepi32_ps(_mm512_cvtepu16_epi32(words))};
}
inline void LoadUint8Pairs(const uint8_t* p, Vec& a, Vec& b) {
  const __m256i raw = LoadRaw256(p);
  a = WordsToFloat(_mm256_and_si256(raw, _mm256_set1_epi16(0xff)));
  b = WordsToFloat(_mm256_srli_epi16(raw, 8));
}
inline void LoadUint4Pairs(const uint8_t* p, Vec& a, Vec& b) {
  const __m512i raw = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  a = {_mm512_cvtepi32_ps(_mm512_and_si512(raw, _mm512_set1_epi32(15)))};
  b = {_mm512_cvtepi32_ps(_mm512_srli_epi32(raw, 4))};
}

}  // namespace
}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_DEVICE_CPU_VEC16_AVX512_H_
