#include "engine_service/sampling/logits_scan.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

// One clone per instruction set, chosen when the program is loaded. By feature: "arch=" would ask
// for one make of processor and leave all others with the default. Sanitizers are not ready for
// code that runs that early, and other compilers do without.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define VALLM_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define VALLM_CLONES
#endif

namespace vallm::engine {
namespace {

constexpr size_t kLanes = 16;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Sixteen lanes, whatever the machine's registers hold. Passed by reference only: how they are
// passed by value depends on the instruction set.
typedef float Floats __attribute__((vector_size(kLanes * sizeof(float))));
typedef int32_t Ints __attribute__((vector_size(kLanes * sizeof(int32_t))));

__attribute__((always_inline)) inline void Load(const float* from, Floats& to) {
  std::memcpy(&to, from, sizeof(to));
}

// The last `count` < 16 logits; the other lanes are -inf, which weighs nothing and beats nothing.
__attribute__((always_inline)) inline void LoadTail(const float* from, size_t count, Floats& to) {
  to = Floats{} - kInfinity;
  std::memcpy(&to, from, count * sizeof(float));
}

__attribute__((always_inline)) inline bool AnyLane(const Ints& mask) {
  uint64_t words[sizeof(Ints) / sizeof(uint64_t)];
  std::memcpy(words, &mask, sizeof(mask));
  uint64_t any = 0;
  for (const uint64_t word : words) any |= word;
  return any != 0;
}

// values := exp((values - best) * scale), by 2^n * p(r) with p the Taylor polynomial of degree 7:
// |r| <= ln 2 / 2 leaves an error below 1e-8 of the value.
__attribute__((always_inline)) inline void Weigh(float best, float scale, Floats& values) {
  constexpr float kLowest = -87;  // below that weights are 0: exp is about to become subnormal
  constexpr float kLog2E = 1.44269504f;
  constexpr float kLn2High = 0.693359375f;  // exact products with small integers
  constexpr float kLn2Low = -2.12194440e-4f;
  constexpr float kRound = 12582912;  // 1.5 * 2^23: adding it leaves an integer
  const Floats x = (values - best) * scale;
  const Ints vanishes = x < kLowest;
  const Floats n = (x * kLog2E + kRound) - kRound;
  const Floats r = (x - n * kLn2High) - n * kLn2Low;
  Floats p = r * (1.0f / 5040) + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const Floats safe = vanishes ? Floats{} : n;  // NaN or huge does not convert
  const Ints power = (__builtin_convertvector(safe, Ints) + 127) << 23;
  Floats two_to_n;
  std::memcpy(&two_to_n, &power, sizeof(power));
  values = vanishes ? Floats{} : p * two_to_n;
}

// In double, pairs first, so that the sum does not wait for itself sixteen times.
__attribute__((always_inline)) inline double SumLanes(const Floats& values) {
  double sums[4] = {};
  for (size_t lane = 0; lane < kLanes; ++lane) sums[lane % 4] += values[lane];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

}  // namespace

VALLM_CLONES BestLogit FindBest(std::span<const float> logits) {
  BestLogit best;
  if (logits.empty()) return best;
  // Four at a time: a maximum that waits for the one before it would take most of the time.
  constexpr size_t kChains = 4;
  Floats most[kChains];
  Ints is_nan[kChains] = {};
  for (Floats& chain : most) chain = Floats{} - kInfinity;
  const auto look = [&](size_t chain, const Floats& values) {
    most[chain] = values > most[chain] ? values : most[chain];
    is_nan[chain] |= values != values;
  };
  Floats values;
  size_t i = 0;
  for (; i + kChains * kLanes <= logits.size(); i += kChains * kLanes) {
    for (size_t chain = 0; chain < kChains; ++chain) {
      Load(logits.data() + i + chain * kLanes, values);
      look(chain, values);
    }
  }
  for (; i + kLanes <= logits.size(); i += kLanes) {
    Load(logits.data() + i, values);
    look(0, values);
  }
  LoadTail(logits.data() + i, logits.size() - i, values);
  look(0, values);
  for (size_t chain = 1; chain < kChains; ++chain) {
    look(0, most[chain]);
    is_nan[0] |= is_nan[chain];
  }
  best.has_nan = AnyLane(is_nan[0]);
  best.logit = most[0][0];
  for (size_t lane = 1; lane < kLanes; ++lane) best.logit = std::max(best.logit, most[0][lane]);
  // The highest that lies below the best: what comes first and is above it is the best itself.
  const float below = std::nextafterf(best.logit, -kInfinity);
  const size_t first = best.logit == -kInfinity ? 0 : FindAbove(logits, 0, below);
  best.token_id = static_cast<int32_t>(first);
  return best;
}

VALLM_CLONES size_t FindAbove(std::span<const float> logits, size_t begin, float bar) {
  constexpr size_t kStride = 4 * kLanes;
  size_t i = begin;
  for (; i + kStride <= logits.size(); i += kStride) {
    Floats a, b, c, d;
    Load(logits.data() + i, a);
    Load(logits.data() + i + kLanes, b);
    Load(logits.data() + i + 2 * kLanes, c);
    Load(logits.data() + i + 3 * kLanes, d);
    a = a > b ? a : b;
    c = c > d ? c : d;
    a = a > c ? a : c;
    if (AnyLane(a > bar)) break;
  }
  while (i < logits.size() && !(logits[i] > bar)) ++i;
  return i;
}

VALLM_CLONES int64_t CountAbove(std::span<const float> logits, float bar) {
  Ints counts = {};
  Floats values;
  size_t i = 0;
  for (; i + kLanes <= logits.size(); i += kLanes) {
    Load(logits.data() + i, values);
    counts -= values > bar;  // true is -1
  }
  LoadTail(logits.data() + i, logits.size() - i, values);
  counts -= values > bar;
  int64_t count = 0;
  for (size_t lane = 0; lane < kLanes; ++lane) count += counts[lane];
  return count;
}

VALLM_CLONES double SumWeights(std::span<const float> logits, float best, float scale,
                               std::span<double> block_sums) {
  double total = 0;
  size_t block = 0;
  for (size_t begin = 0; begin < logits.size(); begin += kWeightBlock, ++block) {
    const size_t end = std::min(begin + kWeightBlock, logits.size());
    Floats sums = {};
    Floats values;
    size_t i = begin;
    for (; i + kLanes <= end; i += kLanes) {
      Load(logits.data() + i, values);
      Weigh(best, scale, values);
      sums += values;
    }
    if (i < end) {
      LoadTail(logits.data() + i, end - i, values);
      Weigh(best, scale, values);
      sums += values;
    }
    const double sum = SumLanes(sums);
    if (!block_sums.empty()) block_sums[block] = sum;
    total += sum;
  }
  return total;
}

VALLM_CLONES void FindWeights(std::span<const float> logits, float best, float scale,
                              std::span<float> weights) {
  Floats values;
  size_t i = 0;
  for (; i + kLanes <= logits.size(); i += kLanes) {
    Load(logits.data() + i, values);
    Weigh(best, scale, values);
    std::memcpy(weights.data() + i, &values, sizeof(values));
  }
  LoadTail(logits.data() + i, logits.size() - i, values);
  Weigh(best, scale, values);
  std::memcpy(weights.data() + i, &values, (logits.size() - i) * sizeof(float));
}

}  // namespace vallm::engine
