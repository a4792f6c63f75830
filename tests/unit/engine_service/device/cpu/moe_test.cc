// Experts against double precision, and equal bits for any batch, shard and target.
#include <cmath>
#include <cstring>

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

constexpr int64_t kHidden = 48, kInter = 192;
constexpr int32_t kExperts = 5, kTopK = 3;

std::unique_ptr<Device> MakeDevice(Isa isa, int32_t threads = 1) {
  CpuDeviceOptions options;
  options.isa = isa;
  options.threads = threads;
  auto device = CreateCpuDevice(options);
  EXPECT_OK(device);
  return *std::move(device);
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

struct Model {
  explicit Model(WeightType type) {
    for (int32_t e = 0; e < kExperts; ++e) {
      gate.emplace_back(kInter, kHidden, type, 100 + e);
      up.emplace_back(kInter, kHidden, type, 200 + e);
      down.emplace_back(kHidden, kInter, type, 300 + e);
    }
  }

  // Experts of one of `shards` ranks.
  std::vector<ExpertSlices> Slices(int64_t rank, int64_t shards) const {
    std::vector<ExpertSlices> slices;
    const int64_t width = kInter / shards, begin = rank * width;
    for (int32_t e = 0; e < kExperts; ++e) {
      slices.push_back({gate[e].Slice(begin, width, 0, kHidden),
                        up[e].Slice(begin, width, 0, kHidden),
                        down[e].Slice(0, kHidden, begin, width)});
    }
    return slices;
  }

  std::vector<HostMatrix> gate, up, down;
};

struct Batch {
  explicit Batch(int64_t count) : rows(count), x(RandomFloats(count * kHidden, 1)) {
    for (int64_t r = 0; r < rows; ++r) {
      for (int32_t j = 0; j < kTopK; ++j) {
        // Distinct and not in ascending order.
        ids.push_back(static_cast<int32_t>((r + 2 - j + (j == 2 ? 3 : 0)) % kExperts));
        weights.push_back(0.1f + 0.2f * static_cast<float>((r + j) % 4));
      }
    }
  }
  // Rows [begin, end) alone.
  Batch Part(int64_t begin, int64_t end) const {
    Batch part = *this;
    part.rows = end - begin;
    part.x = {x.begin() + begin * kHidden, x.begin() + end * kHidden};
    part.ids = {ids.begin() + begin * kTopK, ids.begin() + end * kTopK};
    part.weights = {weights.begin() + begin * kTopK, weights.begin() + end * kTopK};
    return part;
  }

  int64_t rows;
  std::vector<float> x;
  std::vector<int32_t> ids;
  std::vector<float> weights;
};

std::vector<float> RunExperts(Device& device, const std::vector<ExpertSlices>& slices,
                              int32_t groups, const Batch& batch) {
  const auto packed = device.PackExperts(slices, groups);
  EXPECT_OK(packed);
  const auto x = ToDevice(device, batch.x);
  const auto ids = ToDevice(device, batch.ids);
  const auto weights = ToDevice(device, batch.weights);
  const auto out = ToDevice(device, std::vector<float>(batch.rows * kHidden));
  EXPECT_OK(device.MoeExperts(*x, batch.rows, *ids, *weights, kTopK, **packed, *out));
  return FromDevice<float>(device, *out, batch.rows * kHidden);
}

std::vector<double> Reference(const Model& model, const Batch& batch) {
  std::vector<double> out(batch.rows * kHidden);
  for (int64_t r = 0; r < batch.rows; ++r) {
    for (int32_t j = 0; j < kTopK; ++j) {
      const int32_t e = batch.ids[r * kTopK + j];
      std::vector<double> h;
      for (int64_t i = 0; i < kInter; ++i) {
        double g = 0, u = 0;
        for (int64_t k = 0; k < kHidden; ++k) {
          g += batch.x[r * kHidden + k] * model.gate[e].At(i, k);
          u += batch.x[r * kHidden + k] * model.up[e].At(i, k);
        }
        h.push_back(g / (1 + std::exp(-g)) * u);
      }
      for (int64_t n = 0; n < kHidden; ++n) {
        double sum = 0;
        for (int64_t i = 0; i < kInter; ++i) sum += h[i] * model.down[e].At(n, i);
        out[r * kHidden + n] += batch.weights[r * kTopK + j] * sum;
      }
    }
  }
  return out;
}

class MoeExpertsTest : public ::testing::TestWithParam<WeightType> {
 protected:
  const Model model_{GetParam()};
};

TEST_P(MoeExpertsTest, EqualsDoublePrecisionAndItselfOnEveryTarget) {
  for (const int64_t rows : {1, 2, 9, 40}) {
    const Batch batch(rows);
    const std::vector<double> want = Reference(model_, batch);
    std::vector<float> portable;
    for (const Isa isa : AvailableIsas()) {
      const std::vector<float> got = RunExperts(*MakeDevice(isa), model_.Slices(0, 1), 8, batch);
      EXPECT_LT(RelativeError(got, want), 1e-5) << IsaName(isa) << " rows " << rows;
      if (portable.empty()) portable = got;
      if (!SameNumerics(isa, Isa::kPortable)) continue;
      EXPECT_TRUE(SameBits(portable, got)) << IsaName(isa) << " rows " << rows;
    }
  }
}

TEST_P(MoeExpertsTest, OtherRowsChangeNoBit) {
  const Batch batch(40);
  const auto device = MakeDevice(AvailableIsas().back());
  const std::vector<float> all = RunExperts(*device, model_.Slices(0, 1), 8, batch);
  for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{0, 1}, {6, 7}, {10, 25}}) {
    EXPECT_TRUE(SameBits(RunExperts(*device, model_.Slices(0, 1), 8, batch.Part(begin, end)),
                         {all.begin() + begin * kHidden, all.begin() + end * kHidden}))
        << begin;
  }
}

TEST_P(MoeExpertsTest, TheOrderOfARowsChoicesChangesNoBit) {
  Batch batch(20);
  const auto device = MakeDevice(AvailableIsas().back());
  const std::vector<float> before = RunExperts(*device, model_.Slices(0, 1), 8, batch);
  for (int64_t r = 0; r < batch.rows; ++r) {
    std::swap(batch.ids[r * kTopK], batch.ids[r * kTopK + 2]);
    std::swap(batch.weights[r * kTopK], batch.weights[r * kTopK + 2]);
  }
  EXPECT_TRUE(SameBits(before, RunExperts(*device, model_.Slices(0, 1), 8, batch)));
}

TEST_P(MoeExpertsTest, ShardsJoinAlongTheSameTree) {
  const Batch batch(9);
  const auto device = MakeDevice(AvailableIsas().back());
  const std::vector<float> whole = RunExperts(*device, model_.Slices(0, 1), 8, batch);
  for (const int64_t shards : {2, 4, 8}) {
    std::vector<std::vector<float>> parts;
    for (int64_t rank = 0; rank < shards; ++rank) {
      parts.push_back(RunExperts(*device, model_.Slices(rank, shards),
                                 static_cast<int32_t>(8 / shards), batch));
    }
    for (size_t count = parts.size() / 2; count >= 1; count /= 2) {
      for (size_t s = 0; s < count; ++s) {
        for (size_t i = 0; i < whole.size(); ++i)
          parts[s][i] = parts[2 * s][i] + parts[2 * s + 1][i];
      }
    }
    EXPECT_TRUE(SameBits(whole, parts[0])) << shards << " shards";
  }
}

TEST_P(MoeExpertsTest, ThreadsChangeNoBit) {
  const Batch batch(40);
  EXPECT_TRUE(
      SameBits(RunExperts(*MakeDevice(AvailableIsas().back()), model_.Slices(0, 1), 8, batch),
               RunExperts(*MakeDevice(AvailableIsas().back(), 4), model_.Slices(0, 1), 8, batch)));
}

INSTANTIATE_TEST_SUITE_P(Types, MoeExpertsTest,
                         ::testing::Values(WeightType::kBf16, WeightType::kF8E4m3,
                                           WeightType::kUint4),
                         [](const auto& p) { return ::vallm::testing::WeightTypeName(p.param); });

TEST(PackExpertsTest, RefusesMatricesThatDoNotFitTogether) {
  const auto device = MakeDevice(AvailableIsas().back());
  const auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(device->PackExperts({}, 8), StatusIs(kInvalid, "no experts"));
  const Model model(WeightType::kBf16);
  std::vector<ExpertSlices> slices = model.Slices(0, 1);
  slices[1].up = model.up[1].Slice(0, kInter / 2, 0, kHidden);
  EXPECT_THAT(device->PackExperts(slices, 8), StatusIs(kInvalid, "expert 1"));
  EXPECT_THAT(device->PackExperts(model.Slices(0, 1), 5), StatusIs(kInvalid, "5 k groups"));
}

}  // namespace
}  // namespace vallm::engine
