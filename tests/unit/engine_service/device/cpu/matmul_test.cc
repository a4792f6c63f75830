// Packed matrices against double precision, and equal bits however the work is cut.
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
using ::vallm::testing::HostMatrix;
using ::vallm::testing::RandomFloats;
using ::vallm::testing::RelativeError;
using ::vallm::testing::StatusIs;
using ::vallm::testing::ToDevice;

std::unique_ptr<Device> MakeDevice(Isa isa, int32_t threads = 1) {
  CpuDeviceOptions options;
  options.isa = isa;
  options.threads = threads;
  auto device = CreateCpuDevice(options);
  EXPECT_OK(device);
  return *std::move(device);
}

std::vector<float> Multiply(Device& device, const std::vector<WeightSlice>& stacked, int32_t groups,
                            const std::vector<float>& x, int64_t rows) {
  auto packed = device.PackMatrix(stacked, groups);
  EXPECT_OK(packed);
  const int64_t n = (*packed)->n();
  EXPECT_EQ((*packed)->k() * rows, static_cast<int64_t>(x.size()));
  const auto in = ToDevice(device, x);
  // One guard float behind the result.
  const auto out = ToDevice(device, std::vector<float>(rows * n + 1, -7.0f));
  EXPECT_OK(device.MatMul(*in, rows, **packed, *out));
  std::vector<float> y = FromDevice<float>(device, *out, rows * n + 1);
  EXPECT_EQ(y.back(), -7.0f) << "wrote beyond the last column";
  y.pop_back();
  return y;
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

struct Case {
  int64_t n, k;
  int32_t groups;
};

class MatMulTest : public ::testing::TestWithParam<WeightType> {};

TEST_P(MatMulTest, EqualsDoublePrecisionAndItselfOnEveryTarget) {
  const Case cases[] = {{1, 1, 1},    {15, 7, 1},   {16, 16, 1},  {17, 128, 1},
                        {33, 129, 1}, {80, 256, 1}, {16, 8, 8},   {130, 96, 8},
                        {64, 448, 8}, {31, 352, 4}, {200, 512, 2}};
  uint32_t seed = 1;
  for (const Case& c : cases) {
    const HostMatrix matrix(c.n, c.k, GetParam(), ++seed);
    constexpr int64_t kRows = 27;  // every panel size of every target
    const std::vector<float> x = RandomFloats(kRows * c.k, ++seed);
    std::vector<double> want(kRows * c.n);
    for (int64_t r = 0; r < kRows; ++r) {
      for (int64_t n = 0; n < c.n; ++n) {
        for (int64_t k = 0; k < c.k; ++k) want[r * c.n + n] += x[r * c.k + k] * matrix.At(n, k);
      }
    }
    std::vector<float> portable;
    for (const Isa isa : AvailableIsas()) {
      const auto device = MakeDevice(isa);
      const std::vector<float> got = Multiply(*device, {matrix.Whole()}, c.groups, x, kRows);
      SCOPED_TRACE(::testing::Message() << IsaName(isa) << " n " << c.n << " k " << c.k);
      EXPECT_LT(RelativeError(got, want), 1e-5);
      if (portable.empty()) portable = got;
      if (SameNumerics(isa, Isa::kPortable)) {
        EXPECT_TRUE(SameBits(portable, got)) << "differs from portable";
      }
      for (const int64_t rows : {1, 2, 3, 5, 11, 13}) {
        const std::vector<float> some(x.end() - rows * c.k, x.end());
        const std::vector<float> part = Multiply(*device, {matrix.Whole()}, c.groups, some, rows);
        EXPECT_TRUE(SameBits(part, {got.end() - rows * c.n, got.end()})) << rows << " rows";
      }
    }
  }
}

TEST_P(MatMulTest, RowsOfASliceAreRowsOfTheWhole) {
  // Cuts inside 128-row scale blocks; the second slice has a tile with rows of two of them.
  const HostMatrix matrix(200, 256, GetParam(), 5);
  const std::vector<float> x = RandomFloats(256, 6);
  const auto device = MakeDevice(AvailableIsas().back());
  const std::vector<float> whole = Multiply(*device, {matrix.Whole()}, 1, x, 1);
  std::vector<float> joined;
  for (const auto& [begin, count] : {std::pair<int64_t, int64_t>{0, 100}, {100, 92}, {192, 8}}) {
    const auto part = Multiply(*device, {matrix.Slice(begin, count, 0, 256)}, 1, x, 1);
    joined.insert(joined.end(), part.begin(), part.end());
  }
  EXPECT_TRUE(SameBits(whole, joined));
}

TEST_P(MatMulTest, StackedSlicesAreTheirConcatenation) {
  const HostMatrix a(24, 128, GetParam(), 8), b(12, 128, GetParam(), 9);
  const std::vector<float> x = RandomFloats(3 * 128, 6);
  const auto device = MakeDevice(AvailableIsas().back());
  const auto ya = Multiply(*device, {a.Whole()}, 1, x, 3);
  const auto yb = Multiply(*device, {b.Whole()}, 1, x, 3);
  const auto both = Multiply(*device, {a.Whole(), b.Whole()}, 1, x, 3);
  for (int64_t r = 0; r < 3; ++r) {
    for (int64_t n = 0; n < 36; ++n) {
      EXPECT_EQ(both[r * 36 + n], n < 24 ? ya[r * 24 + n] : yb[r * 12 + n - 24]);
    }
  }
}

TEST_P(MatMulTest, ColumnShardsJoinAlongTheSameTree) {
  // K of 192 in 8 groups of 24; shards of 96 and 48 columns cut the 128-column scale blocks.
  const HostMatrix matrix(40, 192, GetParam(), 11);
  const std::vector<float> x = RandomFloats(192, 12);
  const auto device = MakeDevice(AvailableIsas().back());
  const std::vector<float> whole = Multiply(*device, {matrix.Whole()}, 8, x, 1);
  for (const int64_t shards : {2, 4, 8}) {
    std::vector<std::vector<float>> parts;
    const int64_t width = 192 / shards;
    for (int64_t s = 0; s < shards; ++s) {
      parts.push_back(Multiply(*device, {matrix.Slice(0, 40, s * width, width)},
                               static_cast<int32_t>(8 / shards),
                               {x.begin() + s * width, x.begin() + (s + 1) * width}, 1));
    }
    for (size_t count = parts.size() / 2; count >= 1; count /= 2) {
      for (size_t s = 0; s < count; ++s) {
        for (int64_t n = 0; n < 40; ++n) parts[s][n] = parts[2 * s][n] + parts[2 * s + 1][n];
      }
    }
    EXPECT_TRUE(SameBits(whole, parts[0])) << shards << " shards";
  }
}

TEST_P(MatMulTest, ThreadsChangeNoBit) {
  const HostMatrix matrix(300, 256, GetParam(), 13);
  const std::vector<float> x = RandomFloats(50 * 256, 14);
  const auto one = MakeDevice(AvailableIsas().back());
  const auto four = MakeDevice(AvailableIsas().back(), /*threads=*/4);
  EXPECT_TRUE(SameBits(Multiply(*one, {matrix.Whole()}, 8, x, 50),
                       Multiply(*four, {matrix.Whole()}, 8, x, 50)));
}

// A float rounded to BF16 as the hardware does: nearest even, subnormals to zero.
float ToBf16(float x) {
  if (std::abs(x) < std::numeric_limits<float>::min()) return 0;
  const uint32_t bits = static_cast<uint32_t>(::vallm::testing::DoubleToBf16(x)) << 16;
  float out;
  std::memcpy(&out, &bits, sizeof(out));
  return out;
}

// What matmul_amx-inl.h says it computes, for one row and one output feature without groups.
float AmxSum(const std::vector<float>& x, const std::vector<float>& weights, WeightType type,
             const std::vector<float>& scales, int64_t block) {
  float group = 0;
  for (size_t begin = 0; begin < x.size(); begin += block) {
    const size_t end = std::min(x.size(), begin + block);
    float parts[3] = {};
    for (int part = 0; part < 3; ++part) {
      for (size_t chunk = begin; chunk < end; chunk += 32) {
        // f16 weights come in two parts as well.
        for (int split = 0; split < (type == WeightType::kF16 ? 2 : 1); ++split) {
          float even = 0, odd = 0;
          for (size_t k = chunk; k < std::min(end, chunk + 32); ++k) {
            float rest = x[k];
            for (int i = 0; i < part; ++i) rest -= ToBf16(rest);
            const float a = ToBf16(rest);
            const float w_high = ToBf16(weights[k]);
            const float w = split == 0 ? w_high : ToBf16(weights[k] - w_high);
            float& sum = (k - chunk) % 2 == 0 ? even : odd;
            sum = std::fma(a, w, sum);
          }
          parts[part] += even + odd;
        }
      }
    }
    const float segment = parts[0] + (parts[1] + parts[2]);
    group = IsScaled(type) ? std::fma(segment, scales[begin / block], group) : segment + group;
  }
  return group;
}

TEST_P(MatMulTest, AmxAddsInTheDocumentedOrder) {
  if (AvailableIsas().back() != Isa::kAmx) GTEST_SKIP() << "this machine has no AMX";
  const int64_t k = 300;
  const HostMatrix matrix(20, k, GetParam(), 3);
  const std::vector<float> x = RandomFloats(3 * k, 4);
  const auto got = Multiply(*MakeDevice(Isa::kAmx), {matrix.Whole()}, 1, x, 3);
  for (int64_t n = 0; n < 20; ++n) {
    std::vector<float> weights, scales;
    for (int64_t i = 0; i < k; ++i) {
      const int64_t block = n / matrix.block_rows_ * matrix.scale_cols_ + i / matrix.block_cols_;
      const double scale = IsScaled(GetParam()) ? matrix.scales_[block] : 1.0;
      weights.push_back(static_cast<float>(std::nearbyint(matrix.At(n, i) / scale * 0x1p24)) *
                        0x1p-24f);
      if (!IsScaled(GetParam())) weights.back() = static_cast<float>(matrix.At(n, i));
      if (i % matrix.block_cols_ == 0) scales.push_back(static_cast<float>(scale));
    }
    for (int64_t r = 0; r < 3; ++r) {
      const std::vector<float> row(x.begin() + r * k, x.begin() + (r + 1) * k);
      EXPECT_EQ(got[r * 20 + n], AmxSum(row, weights, GetParam(), scales, matrix.block_cols_))
          << "row " << r << " feature " << n;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, MatMulTest,
                         ::testing::Values(WeightType::kBf16, WeightType::kF16, WeightType::kF8E4m3,
                                           WeightType::kUint8, WeightType::kUint4),
                         [](const auto& p) { return ::vallm::testing::WeightTypeName(p.param); });

TEST(IntegerWeightsTest, GroupsOfEverySize) {
  // 192 columns in groups of 32, 64, 128 and one per row; shards of 96 columns cut those of 64.
  for (const WeightType type : {WeightType::kUint4, WeightType::kUint8}) {
    for (const int32_t group : {32, 64, 128, 192}) {
      const HostMatrix matrix(20, 192, type, 3, group);
      const std::vector<float> x = RandomFloats(2 * 192, 4);
      std::vector<double> want(40);
      for (int64_t i = 0; i < 40; ++i) {
        for (int64_t k = 0; k < 192; ++k) want[i] += x[i / 20 * 192 + k] * matrix.At(i % 20, k);
      }
      for (const Isa isa : AvailableIsas()) {
        const auto got = Multiply(*MakeDevice(isa), {matrix.Whole()}, 2, x, 2);
        EXPECT_LT(RelativeError(got, want), 1e-5) << group << " " << IsaName(isa);
      }
    }
  }
}

TEST(E4m3Test, EveryValueIsExact) {
  HostMatrix matrix(256, 1, WeightType::kF8E4m3, 1);
  for (int i = 0; i < 256; ++i) {
    matrix.bytes_[i] = static_cast<uint8_t>((i & 0x7f) == 0x7f ? 0 : i);
  }
  matrix.scales_ = {1.0f, 0.5f};
  for (const Isa isa : AvailableIsas()) {
    const auto device = MakeDevice(isa);
    const auto y = Multiply(*device, {matrix.Whole()}, 1, {1.0f}, 1);
    for (int i = 0; i < 256; ++i) {
      EXPECT_EQ(y[i], ::vallm::testing::E4m3ToDouble(matrix.bytes_[i]) * (i < 128 ? 1 : 0.5))
          << IsaName(isa) << " " << i;
    }
  }
}

TEST(PackMatrixTest, RefusesWhatItCannotPack) {
  const auto device = MakeDevice(AvailableIsas().back());
  const auto pack = [&](std::vector<WeightSlice> slices, int32_t groups) {
    return device->PackMatrix(slices, groups).status();
  };
  const auto kInvalid = absl::StatusCode::kInvalidArgument;
  const HostMatrix bf16(8, 20, WeightType::kBf16, 1), fp8(8, 20, WeightType::kF8E4m3, 1);
  EXPECT_THAT(pack({}, 1), StatusIs(kInvalid, "no weight slices"));
  EXPECT_THAT(pack({bf16.Whole()}, 3), StatusIs(kInvalid, "3 k groups"));
  EXPECT_THAT(pack({bf16.Whole()}, 8), StatusIs(kInvalid, "20 input features"));
  EXPECT_THAT(pack({bf16.Whole(), fp8.Whole()}, 1), StatusIs(kInvalid, "differ"));
  EXPECT_THAT(pack({bf16.Slice(0, 8, 0, 21)}, 1), StatusIs(kInvalid, "outside its matrix"));
  EXPECT_THAT(pack({bf16.Slice(0, 0, 0, 20)}, 1), StatusIs(kInvalid, "empty"));
  WeightSlice unscaled = fp8.Whole();
  unscaled.scales = nullptr;
  EXPECT_THAT(pack({unscaled}, 1), StatusIs(kInvalid, "without block scales"));
  HostMatrix uint4(8, 20, WeightType::kUint4, 1);
  WeightSlice without_zeros = uint4.Whole();
  without_zeros.zeros = nullptr;
  EXPECT_THAT(pack({without_zeros}, 1), StatusIs(kInvalid, "without zero points"));
  uint4.bytes_[3] = 16;
  EXPECT_THAT(pack({uint4.Whole()}, 1), StatusIs(kInvalid, "value above 15"));
  HostMatrix nan(8, 20, WeightType::kF8E4m3, 1);
  nan.bytes_[100] = 0xff;
  EXPECT_THAT(pack({nan.Whole()}, 1), StatusIs(kInvalid, "NaN"));
  EXPECT_OK(pack({nan.Slice(0, 5, 0, 20)}, 1));  // the NaN is not in this slice
}

}  // namespace
}  // namespace vallm::engine
