#include "engine_service/sampling/logits_scan.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace vallm::engine {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> Random(size_t size, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 4);
  std::vector<float> logits(size);
  for (float& logit : logits) logit = normal(random);
  return logits;
}

// Every tail length, at every alignment of the first element.
class LogitsScanTest : public ::testing::Test {
 protected:
  template <typename Check>
  static void ForEachSize(Check check) {
    for (size_t size = 1; size <= 140; ++size) {
      for (const size_t offset : {0, 1, 3}) {
        const std::vector<float> memory = Random(size + offset, size);
        check(std::span(memory).subspan(offset));
      }
    }
    const std::vector<float> large = Random(5003, 1);
    check(std::span<const float>(large));
  }
};

TEST_F(LogitsScanTest, FindsTheFirstOfTheBest) {
  ForEachSize([](std::span<const float> logits) {
    const auto expected = std::max_element(logits.begin(), logits.end());
    const BestLogit best = FindBest(logits);
    EXPECT_EQ(best.token_id, expected - logits.begin());
    EXPECT_EQ(best.logit, *expected);
    EXPECT_FALSE(best.has_nan);
  });
  EXPECT_EQ(FindBest(std::vector<float>{0, -0.0f, 0}).token_id, 0);
  EXPECT_EQ(FindBest(std::vector<float>{-kInfinity, -kInfinity}).logit, -kInfinity);
  EXPECT_EQ(FindBest(std::vector<float>{1, kInfinity}).token_id, 1);
  EXPECT_EQ(FindBest({}).token_id, -1);
}

TEST_F(LogitsScanTest, SeesANanAnywhere) {
  for (size_t size = 1; size <= 40; ++size) {
    for (size_t at = 0; at < size; ++at) {
      std::vector<float> logits = Random(size, 3);
      logits[at] = std::numeric_limits<float>::quiet_NaN();
      EXPECT_TRUE(FindBest(logits).has_nan);
    }
  }
}

TEST_F(LogitsScanTest, FindsAndCountsWhatIsAbove) {
  ForEachSize([](std::span<const float> logits) {
    for (const float bar : {-2.0f, 3.0f, logits.back(), 100.0f}) {
      const auto above = [&](float logit) { return logit > bar; };
      EXPECT_EQ(CountAbove(logits, bar), std::count_if(logits.begin(), logits.end(), above));
      for (size_t begin = 0; begin <= logits.size(); begin += 1 + logits.size() / 7) {
        const auto first = std::find_if(logits.begin() + begin, logits.end(), above);
        EXPECT_EQ(FindAbove(logits, begin, bar), size_t(first - logits.begin()));
      }
    }
  });
}

TEST_F(LogitsScanTest, WeighsAsTheExponential) {
  ForEachSize([](std::span<const float> logits) {
    const float best = *std::max_element(logits.begin(), logits.end());
    for (const float scale : {1e-9f, 0.5f, 1.0f, 1.7f}) {
      std::vector<float> weights(logits.size());
      FindWeights(logits, best, scale, weights);
      double total = 0;
      for (size_t i = 0; i < logits.size(); ++i) {
        const double exponent = (double{logits[i]} - best) * scale;
        const double expected = exponent < -87 ? 0 : std::exp(exponent);
        EXPECT_NEAR(weights[i], expected, expected * (exponent > -20 ? 2e-6 : 1e-5)) << exponent;
        total += expected;
      }
      std::vector<double> blocks((logits.size() + kWeightBlock - 1) / kWeightBlock);
      const double sum = SumWeights(logits, best, scale, blocks);
      EXPECT_NEAR(sum, total, 1e-6 * total);
      double sum_of_blocks = 0;
      for (const double block : blocks) sum_of_blocks += block;
      EXPECT_EQ(sum, sum_of_blocks);
      EXPECT_EQ(sum, SumWeights(logits, best, scale, {}));
    }
  });
}

TEST_F(LogitsScanTest, NothingWeighsMoreThanTheBestAndForbiddenTokensNothing) {
  const std::vector<float> logits = {2, -kInfinity, 1e30f, -1e30f, -kInfinity, 1e30f};
  std::vector<float> weights(logits.size());
  for (const float scale : {1e-30f, 1.0f, std::numeric_limits<float>::max()}) {
    FindWeights(logits, 1e30f, scale, weights);
    EXPECT_EQ(weights[1], 0);
    EXPECT_EQ(weights[2], 1);
    EXPECT_EQ(weights[4], 0);
    EXPECT_LE(weights[3], 1);
  }
}

}  // namespace
}  // namespace vallm::engine
