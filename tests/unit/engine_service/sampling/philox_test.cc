#include "engine_service/sampling/philox.h"

#include <cstdint>
#include <limits>
#include <set>

#include "gtest/gtest.h"

namespace vallm::engine {
namespace {

// The three vectors that Random123 publishes for philox4x32 with 10 rounds.
TEST(PhiloxTest, MatchesTheAuthorsVectors) {
  EXPECT_EQ(Philox4x32({0, 0, 0, 0}, {0, 0}),
            (std::array<uint32_t, 4>{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u}));
  constexpr uint32_t kOnes = 0xffffffffu;
  EXPECT_EQ(Philox4x32({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (std::array<uint32_t, 4>{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu}));
  EXPECT_EQ(
      Philox4x32({0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}, {0xa4093822u, 0x299f31d0u}),
      (std::array<uint32_t, 4>{0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u}));
}

// Pins the mapping from seed and position to a number: a change of it would change every seeded
// answer and break a resume across versions. Derived from the first vector above by hand:
// (0xe169c58d6627e8d5 >> 11) * 2^-53.
TEST(UniformAtTest, IsTheTopBitsOfTheFirstTwoWords) {
  EXPECT_EQ(UniformAt(0, 0), static_cast<double>(0xe169c58d6627e8d5u >> 11) * 0x1p-53);
}

TEST(UniformAtTest, UsesAllOfSeedAndPosition) {
  std::set<double> values;
  for (const int64_t value : {int64_t{0}, int64_t{1}, int64_t{-1}, int64_t{1} << 40,
                              std::numeric_limits<int64_t>::min()}) {
    values.insert(UniformAt(value, 7));
    values.insert(UniformAt(7, value));
  }
  EXPECT_EQ(values.size(), 10u);
}

TEST(UniformAtTest, IsUniformAlongPositionsAndAlongSeeds) {
  constexpr int kDraws = 100000, kBins = 50;
  for (const bool along_seeds : {false, true}) {
    std::array<int, kBins> bins{};
    for (int i = 0; i < kDraws; ++i) {
      const double u = along_seeds ? UniformAt(i, 3) : UniformAt(42, i);
      ASSERT_GE(u, 0.0);
      ASSERT_LT(u, 1.0);
      ++bins[static_cast<size_t>(u * kBins)];
    }
    double chi2 = 0;
    const double expected = double{kDraws} / kBins;
    for (const int count : bins) chi2 += (count - expected) * (count - expected) / expected;
    EXPECT_LT(chi2, 85.4) << "49 degrees of freedom, p = 0.001";
    EXPECT_GT(chi2, 23.9) << "too even to be random, p = 0.999";
  }
}

}  // namespace
}  // namespace vallm::engine
