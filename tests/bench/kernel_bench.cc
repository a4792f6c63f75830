// Speed of the CPU device: weight bandwidth of decodes and arithmetic rate of prompts, for the
// shapes of Qwen3-30B-A3B and of the demo model. Not a test. One core unless told otherwise:
//
//   kernel_bench [threads] [words ...]      only lines that contain every word, e.g. amx qkv
//
// Prints the machine's ceilings, measured in the same run with the same threads, then per
// instruction set and shape: decode GB/s (weight bytes over time; as many different weights as the
// stream read goes through, where the shape is larger than a cache) and its share of the stream
// read, and prefill GFLOP/s (512 rows) and its share of the BF16 dot products.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "engine_service/device/cpu/cpu_device.h"
#include "tests/bench/ceilings.h"

namespace vallm::engine {
namespace {

struct Shape {
  const char* name;
  int64_t n, k;
  int32_t k_groups;
  WeightType type;
};

constexpr Shape kShapes[] = {
    {"30B qkv        fp8 ", 5120, 2048, 1, WeightType::kF8E4m3},
    {"30B o_proj     fp8 ", 2048, 4096, 8, WeightType::kF8E4m3},
    {"30B expert up  fp8 ", 1536, 2048, 1, WeightType::kF8E4m3},
    {"30B qkv        int8", 5120, 2048, 1, WeightType::kUint8},
    {"30B qkv        int4", 5120, 2048, 1, WeightType::kUint4},
    {"30B router     bf16", 128, 2048, 1, WeightType::kBf16},
    {"30B lm_head/8  bf16", 18992, 2048, 1, WeightType::kBf16},
    {"demo qkv       fp8 ", 1024, 256, 1, WeightType::kF8E4m3},
    {"demo lm_head   bf16", 6400, 256, 1, WeightType::kBf16},
};

std::vector<std::string> wanted_words;

constexpr int64_t kPrefillRows = 512;
constexpr int64_t kColdBytes = int64_t{1} << 30;

bench::Ceilings ceilings;

// Whether a line about this is wanted.
bool Wanted(Isa isa, const char* name) {
  const std::string line = std::string(IsaName(isa)) + " " + name;
  return std::all_of(wanted_words.begin(), wanted_words.end(),
                     [&](const std::string& word) { return line.find(word) != std::string::npos; });
}

// Seconds per call: the best of several runs of at least 20 ms and `min_calls`.
template <typename F>
double Time(F f, int64_t min_calls = 1) {
  using Clock = std::chrono::steady_clock;
  double best = 1e9;
  f();
  for (int run = 0; run < 4; ++run) {
    int64_t calls = 0;
    const auto begin = Clock::now();
    double seconds = 0;
    do {
      f();
      ++calls;
      seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    } while (seconds < 0.02 || calls < min_calls);
    best = std::min(best, seconds / calls);
  }
  return best;
}

template <typename T>
T Must(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::fprintf(stderr, "%s\n", value.status().ToString().c_str());
    std::exit(1);
  }
  return *std::move(value);
}

// Weights in e4m3 as quantisation leaves them: normal, the largest of a block at 448.
std::vector<uint8_t> NormalE4m3() {
  std::vector<uint8_t> values(1 << 16);
  std::mt19937 random(5);
  std::normal_distribution<double> normal(0, 100);
  for (uint8_t& value : values) {
    const double x = normal(random);
    int exponent = 0;
    const double significand = std::frexp(std::min(std::abs(x), 448.0), &exponent);
    const bool subnormal = exponent < -5;
    const double eighths = subnormal ? std::ldexp(significand, exponent + 9) : 16 * significand - 8;
    value = static_cast<uint8_t>((x < 0 ? 0x80 : 0) +
                                 std::lrint(eighths + (subnormal ? 0 : 8 * (exponent + 6))));
  }
  return values;
}

// A random matrix and what packing needs to know about it.
struct HostMatrix {
  HostMatrix(int64_t n, int64_t k, WeightType type) {
    std::mt19937 random(7);
    const int64_t element = type == WeightType::kBf16 ? 2 : 1;
    data.resize(n * k * element);
    if (type == WeightType::kF8E4m3) {
      const std::vector<uint8_t> values = NormalE4m3();
      for (uint8_t& value : data) value = values[random() & 0xffff];
    } else {
      // Small positive and negative values of BF16; any of the others.
      for (size_t i = 0; i < data.size(); ++i) {
        data[i] =
            static_cast<uint8_t>(element == 2 && i % 2 == 1 ? 0x3c + (random() & 0x81) : random());
      }
    }
    // Integers as GPTQ and AWQ have them: a scale and a zero point for 128 columns of each row.
    const bool integers = HasZeros(type);
    if (integers) {
      for (uint8_t& value : data) value &= type == WeightType::kUint4 ? 15 : 255;
    }
    const int32_t block_rows = integers ? 1 : 128;
    scales.assign(((n + block_rows - 1) / block_rows) * ((k + 127) / 128), 0.01f);
    zeros.assign(integers ? scales.size() : 0, 8);
    slice = {.type = type,
             .data = data.data(),
             .matrix_cols = k,
             .row_begin = 0,
             .row_count = n,
             .col_begin = 0,
             .col_count = k,
             .scales = scales.data(),
             .zeros = integers ? zeros.data() : nullptr,
             .scale_cols = (k + 127) / 128,
             .block_rows = block_rows,
             .block_cols = 128};
  }
  std::vector<uint8_t> data;
  std::vector<float> scales;
  std::vector<int16_t> zeros;
  WeightSlice slice;
};

std::unique_ptr<Buffer> Activations(Device& device, int64_t rows, int64_t width) {
  std::vector<float> values(rows * width);
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (float& x : values) x = normal(random);
  auto buffer = Must(device.Allocate(rows * width * 4));
  (void)device.Upload(std::as_bytes(std::span(values)), *buffer);
  return buffer;
}

void BenchMatrix(Device& device, Isa isa, const Shape& shape) {
  if (!Wanted(isa, shape.name)) return;
  const HostMatrix host(shape.n, shape.k, shape.type);
  // As they are packed: two of int4 to a byte.
  const int64_t bytes =
      static_cast<int64_t>(host.data.size()) / (shape.type == WeightType::kUint4 ? 2 : 1);
  // Copies enough to stream from memory, as a model's layers do; small shapes stay in the cache, as
  // the demo model does.
  const int64_t copies =
      shape.n * shape.k < (1 << 22) ? 1 : std::max<int64_t>(1, kColdBytes / bytes);
  std::vector<std::unique_ptr<PackedMatrix>> packed;
  for (int64_t i = 0; i < copies; ++i) {
    packed.push_back(Must(device.PackMatrix({&host.slice, 1}, shape.k_groups)));
  }
  const auto x = Activations(device, kPrefillRows, shape.k);
  const auto y = Must(device.Allocate(kPrefillRows * shape.n * 4));
  size_t next = 0;
  const auto decode_of = [&](int64_t rows) {
    return Time([&] { (void)device.MatMul(*x, rows, *packed[next++ % packed.size()], *y); },
                copies);
  };
  const double decode = decode_of(1);
  const double decode4 = decode_of(4);
  double prefill = 0;
  if (isa != Isa::kPortable) {
    prefill = Time([&] { (void)device.MatMul(*x, kPrefillRows, *packed[0], *y); });
  }
  const double gflop = 2e-9 * static_cast<double>(kPrefillRows * shape.n * shape.k);
  const auto print_decode = [bytes](const char* label, double seconds) {
    const double rate = static_cast<double>(bytes) / seconds;
    std::printf("  %s %8.1f us %6.2f GB/s %4.0f %%", label, seconds * 1e6, rate * 1e-9,
                100 * rate / ceilings.read);
  };
  std::printf("%-8s %s", std::string(IsaName(isa)).c_str(), shape.name);
  print_decode("decode", decode);
  print_decode("batch 4", decode4);
  const double rate = prefill > 0 ? gflop / prefill : 0;
  std::printf("   prefill %7.1f GFLOP/s %4.0f %%\n", rate, 1e11 * rate / ceilings.bf16_dot);
}

// One MoE layer of the given shape, one token and 512 tokens.
void BenchMoe(Device& device, Isa isa, const char* name, int32_t experts, int32_t top_k,
              int64_t hidden, int64_t inter) {
  if (!Wanted(isa, name)) return;
  const HostMatrix up(inter, hidden, WeightType::kF8E4m3), down(hidden, inter, WeightType::kF8E4m3);
  const std::vector<ExpertSlices> slices(experts, {up.slice, up.slice, down.slice});
  const auto packed = Must(device.PackExperts(slices, 8));
  const auto x = Activations(device, kPrefillRows, hidden);
  const auto y = Must(device.Allocate(kPrefillRows * hidden * 4));
  struct Route {
    std::unique_ptr<Buffer> ids, weights;
  };
  const auto route_of = [&](int64_t rows, int32_t first_expert) {
    Route route = {Must(device.Allocate(rows * top_k * 4)),
                   Must(device.Allocate(rows * top_k * 4))};
    std::vector<float> values(rows * experts);
    std::mt19937 random(first_expert);
    std::normal_distribution<float> normal;
    for (float& value : values) value = normal(random);
    for (int32_t i = 0; rows == 1 && i < top_k; ++i) {
      values[(first_expert + i) % experts] += 100;
    }
    const auto logits = Must(device.Allocate(rows * experts * 4));
    (void)device.Upload(std::as_bytes(std::span(values)), *logits);
    (void)device.MoeRoute(*logits, rows, experts, top_k, true, *route.ids, *route.weights);
    return route;
  };
  // Tokens that go through all experts in turn, as those of different layers do.
  std::vector<Route> tokens;
  for (int32_t first = 0; first < experts; first += top_k) tokens.push_back(route_of(1, first));
  const Route prompt = route_of(kPrefillRows, 0);
  size_t next = 0;
  const double decode = Time(
      [&] {
        const Route& route = tokens[next++ % tokens.size()];
        (void)device.MoeExperts(*x, 1, *route.ids, *route.weights, top_k, *packed, *y);
      },
      static_cast<int64_t>(tokens.size()));
  const double prefill = isa == Isa::kPortable ? 0 : Time([&] {
    (void)device.MoeExperts(*x, kPrefillRows, *prompt.ids, *prompt.weights, top_k, *packed, *y);
  });
  const double macs = static_cast<double>(3 * hidden * inter * top_k);
  const double rate = prefill > 0 ? 2 * macs * kPrefillRows / prefill : 0;
  std::printf("%-8s %s  decode %8.1f us %6.2f GB/s %4.0f %%  %30s prefill %7.1f GFLOP/s %4.0f %%\n",
              std::string(IsaName(isa)).c_str(), name, decode * 1e6, macs / decode * 1e-9,
              100 * macs / decode / ceilings.read, "", rate * 1e-9, 100 * rate / ceilings.bf16_dot);
}

// Attention of sequences of `context` positions: decodes of the last token of one and of four
// sequences (GB/s of keys and values read), and a prompt's last 512 rows.
void BenchAttention(Device& device, Isa isa, const char* name, const HeadLayout& heads, KvType type,
                    int32_t context) {
  if (!Wanted(isa, name)) return;
  constexpr int32_t kSequences = 4;
  const int64_t blocks = (context + kKvBlockSize - 1) / kKvBlockSize;
  const auto k = Must(device.Allocate(device.KvBytes(heads, type, kSequences * blocks)));
  const auto v = Must(device.Allocate(device.KvBytes(heads, type, kSequences * blocks)));
  const auto qkv = Activations(device, context, heads.row_width());
  const auto out = Must(device.Allocate(int64_t{context} * heads.q_heads * heads.head_dim * 4));
  std::vector<int32_t> slots(context), block_ids(kSequences * blocks);
  for (size_t i = 0; i < block_ids.size(); ++i) block_ids[i] = static_cast<int32_t>(i);
  std::vector<AttentionChunk> decodes;
  for (int32_t s = 0; s < kSequences; ++s) {
    const auto first = static_cast<int32_t>(s * blocks);
    for (int32_t i = 0; i < context; ++i) slots[i] = first * kKvBlockSize + i;
    (void)device.StoreKv(*qkv, heads, type, slots, *k, *v);
    decodes.push_back({s, 1, context - 1, first});
  }
  const auto run = [&](std::span<const AttentionChunk> chunks) {
    return Time(
        [&] { (void)device.Attention(*qkv, heads, type, chunks, block_ids, *k, *v, *out); });
  };
  const double decode = run({decodes.data(), 1});
  const double decode4 = run(decodes);
  const int32_t rows = static_cast<int32_t>(std::min<int64_t>(kPrefillRows, context));
  const AttentionChunk last = {context - rows, rows, context - rows, 0};
  const double prefill = isa == Isa::kPortable ? 0 : run({&last, 1});
  const double bytes = 2.0 * static_cast<double>(device.KvBytes(heads, type, blocks));
  const double flop = 4.0 * heads.q_heads * heads.head_dim * rows * (context - (rows - 1) / 2.0);
  std::printf("%-8s %s  decode %8.1f us %6.2f GB/s  batch 4 %6.2f GB/s   prefill %7.1f GFLOP/s\n",
              std::string(IsaName(isa)).c_str(), name, decode * 1e6, bytes / decode * 1e-9,
              kSequences * bytes / decode4 * 1e-9, prefill > 0 ? flop * 1e-9 / prefill : 0.0);
}

int Main(int argc, char** argv) {
  const int32_t threads = argc > 1 ? std::atoi(argv[1]) : 1;
  wanted_words.assign(argv + std::min(argc, 2), argv + argc);
  ceilings = bench::PrintCeilings(threads);
  std::vector<Isa> isas = AvailableIsas();
  std::reverse(isas.begin(), isas.end());
  for (const Isa isa : isas) {
    CpuDeviceOptions options;
    options.threads = threads;
    options.isa = isa;
    const auto device = Must(CreateCpuDevice(options));
    for (const Shape& shape : kShapes) BenchMatrix(*device, isa, shape);
    BenchMoe(*device, isa, "30B experts    fp8 ", 128, 8, 2048, 768);
    BenchMoe(*device, isa, "demo experts   fp8 ", 16, 4, 256, 192);
    BenchAttention(*device, isa, "30B attn 4k    f32 ", {32, 4, 128}, KvType::kF32, 4096);
    BenchAttention(*device, isa, "30B attn 4k    bf16", {32, 4, 128}, KvType::kBf16, 4096);
    BenchAttention(*device, isa, "30B attn 4k    fp8 ", {32, 4, 128}, KvType::kF8E4m3, 4096);
  }
  return 0;
}

}  // namespace
}  // namespace vallm::engine

int main(int argc, char** argv) { return vallm::engine::Main(argc, argv); }
