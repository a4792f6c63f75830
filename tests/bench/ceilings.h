// What this machine can compute at most, beside stream_read.h: the denominators of kernel
// benchmarks.
#ifndef VALLM_TESTS_BENCH_CEILINGS_H_
#define VALLM_TESTS_BENCH_CEILINGS_H_

#include <cstdint>

namespace vallm::bench {

// Floating-point operations per second of `threads` threads on registers alone, with the widest
// vectors there are: f32 fused multiply-adds; products of BF16 pairs added to f32 (vdpbf16ps); BF16
// tiles (AMX). 0 if the machine has no such instruction.
double FmaPeak(int32_t threads);
double Bf16DotPeak(int32_t threads);
double Bf16TilePeak(int32_t threads);

struct Ceilings {
  double read = 0;  // bytes per second, of StreamReadBandwidth
  double fma = 0, bf16_dot = 0, bf16_tile = 0;
};
// Measures all and prints them on one line.
Ceilings PrintCeilings(int32_t threads);

}  // namespace vallm::bench

#endif  // VALLM_TESTS_BENCH_CEILINGS_H_
