// Head norm, rotation, cache writes and paged attention against double precision, on every target.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine_service/device/cpu/cpu_device.h"
#include "gtest/gtest.h"
#include "tests/testing/reference_ops.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using ::vallm::testing::FromDevice;
using ::vallm::testing::RandomFloats;
using ::vallm::testing::RelativeError;
using ::vallm::testing::ToDevice;

std::unique_ptr<Device> MakeDevice(Isa isa) {
  CpuDeviceOptions options;
  options.isa = isa;
  auto device = CreateCpuDevice(options);
  EXPECT_OK(device);
  return *std::move(device);
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// By trying all of them; of two as near the even one.
double NearestE4m3(double x) {
  double best = INFINITY;
  int best_raw = 0;
  for (int raw = 0; raw < 256; ++raw) {
    if ((raw & 0x7f) == 0x7f) continue;  // NaN
    const double value = ::vallm::testing::E4m3ToDouble(static_cast<uint8_t>(raw));
    const double distance = std::abs(value - x), least = std::abs(best - x);
    if (distance < least || (distance == least && best_raw % 2 == 1 && raw % 2 == 0)) {
      best = value;
      best_raw = raw;
    }
  }
  return best;
}

// One sequence of `tokens` rows in blocks 2, 0, 3, 1, … of a cache.
struct Fixture {
  Fixture(const HeadLayout& layout, KvType kv, int32_t count)
      : heads(layout), type(kv), tokens(count), qkv(RandomFloats(count * layout.row_width(), 21)) {
    const int32_t blocks = (count + kKvBlockSize - 1) / kKvBlockSize;
    for (int32_t i = 0; i < blocks; ++i) block_ids.push_back(i ^ 2);
  }

  int64_t num_blocks() const { return static_cast<int64_t>((block_ids.size() + 3) / 4 * 4); }

  // Stores all rows, then attends for rows [begin, tokens) in chunks of `chunk` rows. Cache memory
  // that was never stored to holds NaN.
  std::vector<float> Run(Device& device, int32_t begin, int32_t chunk) const {
    const int64_t bytes = device.KvBytes(heads, type, num_blocks());
    const std::vector<uint8_t> nan(bytes, 0xff);
    const auto k = ToDevice(device, nan), v = ToDevice(device, nan);
    const auto in = ToDevice(device, qkv);
    std::vector<int32_t> slots;
    for (int32_t i = 0; i < tokens; ++i) slots.push_back(block_ids[i / 16] * 16 + i % 16);
    EXPECT_OK(device.StoreKv(*in, heads, type, slots, *k, *v));
    const int64_t width = int64_t{heads.q_heads} * heads.head_dim;
    const auto out = ToDevice(device, std::vector<float>(tokens * width));
    for (int32_t row = begin; row < tokens; row += chunk) {
      const AttentionChunk part = {row, std::min(chunk, tokens - row), row, 0};
      EXPECT_OK(device.Attention(*in, heads, type, {&part, 1}, block_ids, *k, *v, *out));
    }
    std::vector<float> all = FromDevice<float>(device, *out, tokens * width);
    return {all.begin() + begin * width, all.end()};
  }

  double Kv(int64_t row, int64_t column) const {
    const float x = qkv[row * heads.row_width() + column];
    if (type == KvType::kF8E4m3) return NearestE4m3(x);
    return type == KvType::kF32 ? x
                                : ::vallm::testing::Bf16ToDouble(::vallm::testing::DoubleToBf16(x));
  }

  std::vector<double> Reference() const {
    std::vector<double> kv(qkv.begin(), qkv.end());  // rounded as the cache is; queries are not
    for (int64_t row = 0; row < tokens; ++row) {
      for (int64_t i = int64_t{heads.q_heads} * heads.head_dim; i < heads.row_width(); ++i) {
        kv[row * heads.row_width() + i] = Kv(row, i);
      }
    }
    std::vector<double> out;
    const int64_t dim = heads.head_dim;
    for (int64_t row = 0; row < tokens; ++row) {
      for (int64_t h = 0; h < heads.q_heads; ++h) {
        const int64_t g = h / (heads.q_heads / heads.kv_heads);
        const int64_t k = (heads.q_heads + g) * dim, v = k + heads.kv_heads * dim;
        std::vector<double> p;
        double total = 0;
        for (int64_t j = 0; j <= row; ++j) {
          double score = 0;
          for (int64_t d = 0; d < dim; ++d) {
            score += qkv[row * heads.row_width() + h * dim + d] * kv[j * heads.row_width() + k + d];
          }
          p.push_back(std::exp(score / std::sqrt(static_cast<double>(dim))));
          total += p.back();
        }
        for (int64_t d = 0; d < dim; ++d) {
          double sum = 0;
          for (int64_t j = 0; j <= row; ++j) sum += p[j] * kv[j * heads.row_width() + v + d];
          out.push_back(sum / total);
        }
      }
    }
    return out;
  }

  HeadLayout heads;
  KvType type;
  int32_t tokens;
  std::vector<float> qkv;
  std::vector<int32_t> block_ids;
};

constexpr KvType kKvTypes[] = {KvType::kF32, KvType::kBf16, KvType::kF8E4m3};
const HeadLayout kLayouts[] = {{1, 1, 32}, {4, 2, 64},  {8, 1, 128},
                               {3, 1, 96}, {2, 2, 256}, {16, 1, 64}};

TEST(AttentionTest, EqualsDoublePrecisionAndItselfOnEveryTarget) {
  for (const HeadLayout& heads : kLayouts) {
    for (const KvType type : kKvTypes) {
      const Fixture fixture(heads, type, /*count=*/50);
      const std::vector<double> want = fixture.Reference();
      std::vector<float> portable;
      for (const Isa isa : AvailableIsas()) {
        SCOPED_TRACE(::testing::Message() << IsaName(isa) << " head_dim " << heads.head_dim);
        const std::vector<float> got = fixture.Run(*MakeDevice(isa), 0, 50);
        // Against a rounded cache AMX tiles take queries and weights as two bf16 parts, not three.
        const bool two_parts = isa == Isa::kAmx && type != KvType::kF32;
        EXPECT_LT(RelativeError(got, want), two_parts ? 4e-6 : 2e-6);
        if (portable.empty()) portable = got;
        if (isa == Isa::kAmx) continue;  // its sums have an order of their own
        EXPECT_TRUE(SameBits(portable, got)) << "differs from portable";
      }
    }
  }
}

TEST(AttentionTest, ChunksChangeNoBit) {
  for (const Isa isa : AvailableIsas()) {
    if (isa == Isa::kPortable) continue;  // has the bits of AVX2, slowly
    const auto device = MakeDevice(isa);
    for (const HeadLayout& heads : kLayouts) {
      for (const KvType type : kKvTypes) {
        const Fixture fixture(heads, type, /*count=*/131);
        const std::vector<float> whole = fixture.Run(*device, 0, 131);
        for (const int32_t chunk : {1, 3, 7, 16, 33, 64}) {
          EXPECT_TRUE(SameBits(whole, fixture.Run(*device, 0, chunk)))
              << IsaName(isa) << ": " << chunk << " rows, head_dim " << heads.head_dim;
        }
      }
    }
  }
}

TEST(AttentionTest, ThreadsChangeNoBit) {
  // Few rows and several spans of 512 positions: threads share out the spans.
  for (const Isa isa : AvailableIsas()) {
    if (isa == Isa::kPortable) continue;
    const Fixture fixture({4, 2, 32}, KvType::kF32, /*count=*/1600);
    CpuDeviceOptions options;
    options.isa = isa;
    const std::vector<float> want = fixture.Run(*MakeDevice(isa), 1597, 3);
    options.threads = 3;
    const auto device = CreateCpuDevice(options);
    ASSERT_OK(device);
    for (const int32_t chunk : {1, 3}) {
      EXPECT_TRUE(SameBits(want, fixture.Run(**device, 1597, chunk))) << IsaName(isa);
    }
  }
}

TEST(AttentionTest, RowsSeeNothingBehindThem) {
  // Rows from some position on are stored, then changed: those before must not notice. Positions
  // near the borders of pages and blocks.
  for (const Isa isa : AvailableIsas()) {
    const auto device = MakeDevice(isa);
    for (const KvType type : kKvTypes) {
      for (const int64_t kept : {10, 16, 31, 63, 64, 65}) {
        Fixture fixture({4, 2, 64}, type, /*count=*/80);
        const std::vector<float> before = fixture.Run(*device, 0, 80);
        for (size_t i = kept * fixture.heads.row_width(); i < fixture.qkv.size(); ++i) {
          fixture.qkv[i] = std::numeric_limits<float>::quiet_NaN();
        }
        const std::vector<float> after = fixture.Run(*device, 0, 80);
        const int64_t size = kept * fixture.heads.q_heads * fixture.heads.head_dim;
        EXPECT_TRUE(SameBits({before.begin(), before.begin() + size},
                             {after.begin(), after.begin() + size}))
            << IsaName(isa) << " " << kept;
      }
    }
  }
}

TEST(StoreKvTest, RoundsToBf16HalfToEven) {
  const auto device = MakeDevice(AvailableIsas().back());
  const HeadLayout heads = {1, 1, 32};
  std::vector<float> qkv(96, 0.0f);
  qkv[32] = 0x1.01p0f;    // halfway between 0x3f80 and 0x3f81: to the even 0x3f80
  qkv[33] = 0x1.03p0f;    // halfway between 0x3f81 and 0x3f82: to the even 0x3f82
  qkv[34] = 0x1.0101p0f;  // just above halfway: up
  qkv[64] = -2.0f;
  const auto in = ToDevice(*device, qkv);
  const int64_t elements = device->KvBytes(heads, KvType::kBf16, 2) / 2;
  const auto k = ToDevice(*device, std::vector<uint16_t>(elements));
  const auto v = ToDevice(*device, std::vector<uint16_t>(elements));
  const int32_t slot = 16 + 5;  // block 1, offset 5
  EXPECT_OK(device->StoreKv(*in, heads, KvType::kBf16, {&slot, 1}, *k, *v));
  const auto keys = FromDevice<uint16_t>(*device, *k, elements);
  const auto values = FromDevice<uint16_t>(*device, *v, elements);
  EXPECT_EQ(keys[512 + 0 * 16 + 5], 0x3f80);
  EXPECT_EQ(keys[512 + 1 * 16 + 5], 0x3f82);
  EXPECT_EQ(keys[512 + 2 * 16 + 5], 0x3f81);
  EXPECT_EQ(values[512 + 5 * 32], 0xc000);
}

TEST(StoreKvTest, RoundsToTheNearestE4m3) {
  const auto device = MakeDevice(AvailableIsas().back());
  const HeadLayout heads = {1, 1, 256};
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  // Keys: every number, halfway to the next one, and a little to either side; values: the rest.
  std::vector<float> qkv(heads.row_width());
  const auto e4m3 = [](int raw) {
    return static_cast<float>(::vallm::testing::E4m3ToDouble(static_cast<uint8_t>(raw)));
  };
  const auto keys_are = [&](auto value, auto expected) {
    for (int raw = 0; raw < 256; ++raw) qkv[256 + raw] = (raw & 0x7f) < 0x7e ? value(raw) : 0.0f;
    const auto in = ToDevice(*device, qkv);
    const int64_t bytes = device->KvBytes(heads, KvType::kF8E4m3, 1);
    EXPECT_EQ(bytes, 256 * 16);
    const auto k = ToDevice(*device, std::vector<uint8_t>(bytes));
    const auto v = ToDevice(*device, std::vector<uint8_t>(bytes));
    const int32_t slot = 3;
    EXPECT_OK(device->StoreKv(*in, heads, KvType::kF8E4m3, {&slot, 1}, *k, *v));
    const auto keys = FromDevice<uint8_t>(*device, *k, bytes);
    for (int raw = 0; raw < 256; ++raw) {
      if ((raw & 0x7f) >= 0x7e) continue;
      EXPECT_EQ(keys[raw * 16 + slot], expected(raw)) << raw;
    }
    return FromDevice<uint8_t>(*device, *v, bytes);
  };
  const auto middle = [&](int raw) { return (e4m3(raw) + e4m3(raw + 1)) / 2; };
  keys_are(e4m3, [](int raw) { return raw; });
  keys_are(middle, [](int raw) { return raw + raw % 2; });
  keys_are([&](int raw) { return std::nextafter(middle(raw), e4m3(raw)); },
           [](int raw) { return raw; });
  keys_are([&](int raw) { return std::nextafter(middle(raw), e4m3(raw + 1)); },
           [](int raw) { return raw + 1; });
  const std::vector<std::pair<float, int>> values = {
      {448.0f, 0x7e},     {-448.0f, 0xfe}, {479.0f, 0x7e},   {1e30f, 0x7e},     {kInfinity, 0x7e},
      {-kInfinity, 0xfe}, {kNan, 0x7f},    {0x1p-11f, 0x00}, {-0x1p-11f, 0x80}, {1e-45f, 0x00}};
  for (size_t i = 0; i < values.size(); ++i) qkv[512 + i] = values[i].first;
  const auto stored = keys_are(e4m3, [](int raw) { return raw; });
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(stored[3 * 256 + i], values[i].second) << values[i].first;
  }
}

TEST(AttentionTest, ReadsEveryE4m3) {
  // A row that sees itself alone is its own value: 256 numbers, the NaNs included.
  const HeadLayout heads = {1, 1, 256};
  std::vector<float> qkv(heads.row_width());
  for (int raw = 0; raw < 256; ++raw) {
    qkv[512 + raw] =
        (raw & 0x7f) == 0x7f
            ? std::numeric_limits<float>::quiet_NaN()
            : static_cast<float>(::vallm::testing::E4m3ToDouble(static_cast<uint8_t>(raw)));
  }
  for (const Isa isa : AvailableIsas()) {
    Fixture fixture(heads, KvType::kF8E4m3, /*count=*/1);
    fixture.qkv = qkv;
    const std::vector<float> got = fixture.Run(*MakeDevice(isa), 0, 1);
    for (int raw = 0; raw < 256; ++raw) {
      if ((raw & 0x7f) == 0x7f) {
        EXPECT_TRUE(std::isnan(got[raw])) << IsaName(isa) << " " << raw;
      } else {
        EXPECT_EQ(got[raw], qkv[512 + raw]) << IsaName(isa) << " " << raw;
      }
    }
  }
}

TEST(NormRopeHeadsTest, EqualsDoublePrecisionAndLeavesValuesAlone) {
  const HeadLayout heads = {4, 2, 64};
  constexpr int64_t kRows = 3;
  const std::vector<float> qkv = RandomFloats(kRows * heads.row_width(), 31);
  const std::vector<float> q_weight = RandomFloats(64, 32), k_weight = RandomFloats(64, 33);
  std::vector<float> cos_sin;
  for (int64_t row = 0; row < kRows; ++row) {
    for (int i = 0; i < 64; ++i) {
      const double angle = (row + 1) * 0.1 * (i % 32);
      cos_sin.push_back(static_cast<float>(i < 32 ? std::cos(angle) : std::sin(angle)));
    }
  }
  std::vector<double> want(qkv.begin(), qkv.end());
  for (int64_t row = 0; row < kRows; ++row) {
    for (int h = 0; h < 6; ++h) {  // four query heads, two key heads
      const int64_t at = row * heads.row_width() + h * 64;
      double squares = 0;
      for (int i = 0; i < 64; ++i) squares += std::pow(double{qkv[at + i]}, 2);
      const double scale = 1 / std::sqrt(squares / 64 + 1e-6);
      const std::vector<float>& weight = h < 4 ? q_weight : k_weight;
      for (int i = 0; i < 32; ++i) {
        const double a = qkv[at + i] * scale * weight[i];
        const double b = qkv[at + 32 + i] * scale * weight[32 + i];
        const double c = cos_sin[row * 64 + i], s = cos_sin[row * 64 + 32 + i];
        want[at + i] = a * c - b * s;
        want[at + 32 + i] = b * c + a * s;
      }
    }
  }
  std::vector<float> portable;
  for (const Isa isa : AvailableIsas()) {
    const auto device = MakeDevice(isa);
    const auto in = ToDevice(*device, qkv), q = ToDevice(*device, q_weight),
               k = ToDevice(*device, k_weight), angles = ToDevice(*device, cos_sin);
    EXPECT_OK(device->NormRopeHeads(*in, kRows, heads, *q, *k, 1e-6f, *angles));
    const auto got = FromDevice<float>(*device, *in, static_cast<int64_t>(qkv.size()));
    EXPECT_LT(RelativeError(got, want), 1e-6) << IsaName(isa);
    if (portable.empty()) portable = got;
    EXPECT_TRUE(SameBits(portable, got)) << IsaName(isa);
  }
}

}  // namespace
}  // namespace vallm::engine
