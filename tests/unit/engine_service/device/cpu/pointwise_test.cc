// Embedding, norms, gating, exponential and routing against double precision, on every target.
#include <cmath>
#include <cstring>

#include "engine_service/device/cpu/cpu_device.h"
#include "engine_service/device/cpu/kernels.h"
#include "gtest/gtest.h"
#include "tests/testing/reference_ops.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;
using ::vallm::testing::FromDevice;
using ::vallm::testing::RandomFloats;
using ::vallm::testing::RelativeError;
using ::vallm::testing::ToDevice;

// Runs `body(device)` on every target; all results must have the same bits. Returns them.
template <typename Body>
std::vector<float> OnEveryTarget(const Body& body) {
  std::vector<float> first;
  for (const Isa isa : AvailableIsas()) {
    CpuDeviceOptions options;
    options.isa = isa;
    const auto device = CreateCpuDevice(options);
    EXPECT_OK(device);
    const std::vector<float> result = body(**device);
    if (first.empty()) first = result;
    EXPECT_EQ(result.size(), first.size());
    EXPECT_EQ(std::memcmp(result.data(), first.data(), first.size() * sizeof(float)), 0)
        << IsaName(isa) << " differs from portable";
  }
  return first;
}

TEST(EmbedTest, WidensBf16Exactly) {
  const std::vector<float> y = OnEveryTarget([](Device& device) {
    const auto table = ToDevice(device, std::vector<uint16_t>{0x3f80, 0x4000, 0xbf80, 0x0001});
    const auto out = ToDevice(device, std::vector<float>(4));
    const int32_t ids[] = {1, 0};
    EXPECT_OK(device.Embed(*table, WeightType::kBf16, ids, /*width=*/2, *out));
    return FromDevice<float>(device, *out, 4);
  });
  EXPECT_THAT(y, ElementsAre(-1.0f, 0x1p-133f, 1.0f, 2.0f));
}

TEST(EmbedTest, WidensHalvesExactly) {
  const std::vector<float> y = OnEveryTarget([](Device& device) {
    const auto table = ToDevice(device, std::vector<uint16_t>{0x3c00, 0xc500, 0x0001, 0x83ff,  //
                                                              0x7bff, 0x0400, 0x8000, 0x7c00});
    const auto out = ToDevice(device, std::vector<float>(8));
    const int32_t ids[] = {1, 0};
    EXPECT_OK(device.Embed(*table, WeightType::kF16, ids, /*width=*/4, *out));
    return FromDevice<float>(device, *out, 8);
  });
  EXPECT_THAT(y, ElementsAre(65504.0f, 0x1p-14f, -0.0f, INFINITY,  //
                             1.0f, -5.0f, 0x1p-24f, -0x1.ff8p-15f));
}

TEST(GatherRowsTest, TakesRowsInOrder) {
  const std::vector<float> y = OnEveryTarget([](Device& device) {
    const auto x = ToDevice(device, std::vector<float>{1, 2, 3, 4, 5, 6});
    const auto out = ToDevice(device, std::vector<float>(4));
    const int32_t rows[] = {2, 0};
    EXPECT_OK(device.GatherRows(*x, rows, /*width=*/2, *out));
    return FromDevice<float>(device, *out, 4);
  });
  EXPECT_THAT(y, ElementsAre(5, 6, 1, 2));
}

TEST(AddTest, AddsInPlace) {
  const std::vector<float> y = OnEveryTarget([](Device& device) {
    const auto a = ToDevice(device, std::vector<float>{1, 2, 3});
    const auto b = ToDevice(device, std::vector<float>{10, 20, 30});
    EXPECT_OK(device.Add(*a, *b, /*rows=*/1, /*width=*/3));
    return FromDevice<float>(device, *a, 3);
  });
  EXPECT_THAT(y, ElementsAre(11, 22, 33));
}

TEST(RmsNormTest, EqualsDoublePrecision) {
  for (const int64_t width : {16, 32, 128, 2048}) {
    constexpr int64_t kRows = 3;
    const std::vector<float> x = RandomFloats(kRows * width, 1), weight = RandomFloats(width, 2);
    const float eps = 1e-2f;  // large enough to show
    std::vector<double> want;
    for (int64_t r = 0; r < kRows; ++r) {
      double squares = 0;
      for (int64_t i = 0; i < width; ++i) squares += std::pow(double{x[r * width + i]}, 2);
      for (int64_t i = 0; i < width; ++i) {
        want.push_back(x[r * width + i] / std::sqrt(squares / width + eps) * weight[i]);
      }
    }
    const std::vector<float> got = OnEveryTarget([&](Device& device) {
      const auto in = ToDevice(device, x), w = ToDevice(device, weight);
      EXPECT_OK(device.RmsNorm(*in, *w, eps, kRows, width, *in));  // in place
      return FromDevice<float>(device, *in, kRows * width);
    });
    EXPECT_LT(RelativeError(got, want), 1e-6) << width;
  }
}

TEST(SiluMulTest, EqualsDoublePrecisionForEveryWidthAndSign) {
  for (const int64_t width : {1, 12, 16, 17, 192}) {
    constexpr int64_t kRows = 2;
    std::vector<float> x = RandomFloats(kRows * 2 * width, 3);
    for (float& v : x) v *= 20;
    x[0] = -200;  // exp(200) must not become infinite times zero
    std::vector<double> want;
    for (int64_t r = 0; r < kRows; ++r) {
      for (int64_t i = 0; i < width; ++i) {
        const double gate = x[r * 2 * width + i], up = x[r * 2 * width + width + i];
        want.push_back(gate / (1 + std::exp(-gate)) * up);
      }
    }
    const std::vector<float> got = OnEveryTarget([&](Device& device) {
      const auto in = ToDevice(device, x),
                 out = ToDevice(device, std::vector<float>(kRows * width));
      EXPECT_OK(device.SiluMul(*in, kRows, width, *out));
      return FromDevice<float>(device, *out, kRows * width);
    });
    EXPECT_LT(RelativeError(got, want), 1e-6) << width;
  }
}

std::vector<const Kernels*> AvailableKernels() {
  std::vector<const Kernels*> kernels = {&kPortableKernels};
#if defined(__x86_64__)
  for (const Isa isa : AvailableIsas()) {
    if (isa == Isa::kAvx2) kernels.push_back(&kAvx2Kernels);
    if (isa == Isa::kAvx512) kernels.push_back(&kAvx512Kernels);
  }
#endif
  return kernels;
}

TEST(ExpTest, IsWithinTwoUlpAndTheSameEverywhere) {
  std::vector<float> x;
  for (float v = 0; v > -86.9f; v -= 0.00371f) x.push_back(v);
  std::vector<float> first;
  for (const Kernels* kernels : AvailableKernels()) {
    std::vector<float> y(x.size());
    kernels->exp_shifted(x.data(), 0.0f, static_cast<int32_t>(x.size()), y.data());
    for (size_t i = 0; i < x.size(); ++i) {
      const double want = std::exp(double{x[i]});
      ASSERT_NEAR(y[i] / want, 1.0, 2.4e-7) << x[i];
    }
    if (first.empty()) first = y;
    EXPECT_EQ(first, y);
  }
}

TEST(ExpTest, VanishesBelowTheSmallestNormal) {
  const float x[] = {-88.0f, -1000.0f, -INFINITY, 0.0f};
  for (const Kernels* kernels : AvailableKernels()) {
    float y[4];
    kernels->exp_shifted(x, 0.0f, 4, y);
    EXPECT_THAT(y, ElementsAre(0.0f, 0.0f, 0.0f, 1.0f));
  }
}

struct Routed {
  std::vector<int32_t> ids;
  std::vector<float> weights;
};

Routed Route(const std::vector<float>& logits, int64_t rows, int32_t top_k, bool normalize) {
  Routed routed;
  const int32_t experts = static_cast<int32_t>(static_cast<int64_t>(logits.size()) / rows);
  routed.weights = OnEveryTarget([&](Device& device) {
    const auto in = ToDevice(device, logits);
    const auto ids = ToDevice(device, std::vector<int32_t>(rows * top_k));
    const auto weights = ToDevice(device, std::vector<float>(rows * top_k));
    EXPECT_OK(device.MoeRoute(*in, rows, experts, top_k, normalize, *ids, *weights));
    routed.ids = FromDevice<int32_t>(device, *ids, rows * top_k);
    return FromDevice<float>(device, *weights, rows * top_k);
  });
  return routed;
}

TEST(MoeRouteTest, ChoosesTheMostProbable) {
  const Routed routed = Route({0, 1, 3, 2, /**/ 5, 1, 1, 1}, /*rows=*/2, /*top_k=*/2, false);
  EXPECT_THAT(routed.ids, ElementsAre(2, 3, 0, 1));
  const double total = 1 + std::exp(1.0) + std::exp(2.0) + std::exp(3.0);
  EXPECT_NEAR(routed.weights[0], std::exp(3.0) / total, 1e-6);
  EXPECT_NEAR(routed.weights[1], std::exp(2.0) / total, 1e-6);
}

TEST(MoeRouteTest, TiesGoToTheLowerExpert) {
  EXPECT_THAT(Route({1, 2, 2, 2, 2}, 1, 3, false).ids, ElementsAre(1, 2, 3));
  EXPECT_THAT(Route({0, 0, 0}, 1, 3, false).ids, ElementsAre(0, 1, 2));
}

TEST(MoeRouteTest, NormalizedWeightsAddToOne) {
  const Routed routed = Route({0, 1, 3, 2}, 1, 2, true);
  EXPECT_NEAR(routed.weights[0] + routed.weights[1], 1.0, 1e-6);
  EXPECT_NEAR(routed.weights[0] / routed.weights[1], std::exp(1.0), 1e-5);
}

TEST(MoeRouteTest, HugeLogitsDoNotOverflow) {
  const Routed routed = Route({1e4f, -1e4f, 1e4f}, 1, 2, false);
  EXPECT_THAT(routed.ids, ElementsAre(0, 2));
  EXPECT_THAT(routed.weights, ElementsAre(0.5f, 0.5f));
}

// The experts' working memory is made for rows that are with an expert once.
TEST(MoeRouteTest, BrokenLogitsChooseDifferentExpertsToo) {
  for (const float broken : {NAN, INFINITY, -INFINITY}) {
    EXPECT_THAT(Route({broken, broken, broken, broken}, 1, 4, true).ids,
                UnorderedElementsAre(0, 1, 2, 3));
    EXPECT_THAT(Route({1, broken, 2, broken}, 1, 4, true).ids, UnorderedElementsAre(0, 1, 2, 3));
    EXPECT_THAT(Route({broken, 1, 2, 3}, 1, 4, true).ids, UnorderedElementsAre(0, 1, 2, 3));
  }
}

}  // namespace
}  // namespace vallm::engine
