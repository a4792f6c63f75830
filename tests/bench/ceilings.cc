#include "tests/bench/ceilings.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>
#include <vector>

#include "engine_service/device/cpu/isa.h"
#include "tests/bench/stream_read.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace vallm::bench {
namespace {

using engine::AvailableIsas;
using engine::Isa;

// Seconds that `threads` threads take for work(thread), started together.
template <typename Work>
double Seconds(int32_t threads, const Work& work) {
  const auto begin = std::chrono::steady_clock::now();
  std::vector<std::thread> all;
  for (int32_t t = 1; t < threads; ++t) all.emplace_back([&work, t] { work(t); });
  work(0);
  for (std::thread& thread : all) thread.join();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

template <typename Work>
double MedianSeconds(int32_t threads, const Work& work) {
  std::vector<double> seconds;
  for (int i = 0; i < 5; ++i) seconds.push_back(Seconds(threads, work));
  std::sort(seconds.begin(), seconds.end());
  return seconds[seconds.size() / 2];
}

constexpr int64_t kRounds = 4'000'000;

#if defined(__x86_64__)

// Twelve chains, so that neither latency nor a load limits them.
#define VALLM_TWELVE(op)                                                   \
  op " %%zmm30, %%zmm31, %%zmm0\n\t" op " %%zmm30, %%zmm31, %%zmm1\n\t" op \
     " %%zmm30, %%zmm31, %%zmm2\n\t" op " %%zmm30, %%zmm31, %%zmm3\n\t" op \
     " %%zmm30, %%zmm31, %%zmm4\n\t" op " %%zmm30, %%zmm31, %%zmm5\n\t" op \
     " %%zmm30, %%zmm31, %%zmm6\n\t" op " %%zmm30, %%zmm31, %%zmm7\n\t" op \
     " %%zmm30, %%zmm31, %%zmm8\n\t" op " %%zmm30, %%zmm31, %%zmm9\n\t" op \
     " %%zmm30, %%zmm31, %%zmm10\n\t" op " %%zmm30, %%zmm31, %%zmm11"

[[gnu::target("avx512f")]] void FmaRounds() {
  for (int64_t i = 0; i < kRounds; ++i) {
    asm volatile(VALLM_TWELVE("vfmadd231ps")::
                     : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                       "xmm9", "xmm10", "xmm11");
  }
}

[[gnu::target("avx512f,avx512bf16")]] void DotRounds() {
  for (int64_t i = 0; i < kRounds; ++i) {
    asm volatile(VALLM_TWELVE("vdpbf16ps")::
                     : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                       "xmm9", "xmm10", "xmm11");
  }
}

[[gnu::target("amx-tile,amx-bf16")]] void TileRounds() {
  struct alignas(64) {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } config;
  asm volatile("" ::"r"(&config) : "memory");
  _tile_loadconfig(&config);
  for (int64_t i = 0; i < kRounds; ++i) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
}

bool Has(Isa isa) {
  const std::vector<Isa> isas = AvailableIsas();
  return std::find(isas.begin(), isas.end(), isa) != isas.end();
}

#endif

}  // namespace

#if defined(__x86_64__)

double FmaPeak(int32_t threads) {
  if (!Has(Isa::kAvx512)) return 0;
  return threads * kRounds * 12.0 * 32 / MedianSeconds(threads, [](int32_t) { FmaRounds(); });
}

double Bf16DotPeak(int32_t threads) {
  if (!__builtin_cpu_supports("avx512bf16")) return 0;
  return threads * kRounds * 12.0 * 64 / MedianSeconds(threads, [](int32_t) { DotRounds(); });
}

double Bf16TilePeak(int32_t threads) {
  if (!Has(Isa::kAmx)) return 0;
  return threads * kRounds * 4.0 * 16384 / MedianSeconds(threads, [](int32_t) { TileRounds(); });
}

#else

double FmaPeak(int32_t /*threads*/) { return 0; }
double Bf16DotPeak(int32_t /*threads*/) { return 0; }
double Bf16TilePeak(int32_t /*threads*/) { return 0; }

#endif

Ceilings PrintCeilings(int32_t threads) {
  const Ceilings ceilings = {.read = StreamReadBandwidth(threads),
                             .fma = FmaPeak(threads),
                             .bf16_dot = Bf16DotPeak(threads),
                             .bf16_tile = Bf16TilePeak(threads)};
  std::printf(
      "ceilings, %d thread%s: read %.1f GB/s, f32 fma %.0f GFLOP/s, bf16 dot %.0f GFLOP/s, "
      "bf16 tiles %.0f GFLOP/s (0: no such instruction)\n",
      threads, threads == 1 ? "" : "s", ceilings.read * 1e-9, ceilings.fma * 1e-9,
      ceilings.bf16_dot * 1e-9, ceilings.bf16_tile * 1e-9);
  return ceilings;
}

}  // namespace vallm::bench
