#include "engine_service/sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include "engine_service/sampling/philox.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using ::testing::ElementsAre;
using testing::StatusIs;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> RandomLogits(int size, uint32_t seed, float spread = 3) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> logits(size);
  for (float& logit : logits) logit = normal(random);
  return logits;
}

class SamplerTest : public ::testing::Test {
 protected:
  int32_t Draw(std::span<const float> logits, const SamplingParams& params, int64_t position = 0) {
    const auto token = sampler_.Draw(logits, params, position);
    EXPECT_OK(token);
    return token.value_or(-1);
  }
  // The set of tokens that ever come out in `draws` draws.
  std::set<int32_t> Support(std::span<const float> logits, SamplingParams params, int draws) {
    std::set<int32_t> seen;
    for (int i = 0; i < draws; ++i) seen.insert(Draw(logits, params, i));
    return seen;
  }
  // Chi-square of `draws` draws against `expected` probabilities.
  double ChiSquare(std::span<const float> logits, SamplingParams params, int draws,
                   const std::map<int32_t, double>& expected) {
    std::map<int32_t, int> counts;
    for (int i = 0; i < draws; ++i) ++counts[Draw(logits, params, i)];
    double chi2 = 0;
    for (const auto& [token, probability] : expected) {
      const double want = probability * draws;
      chi2 += (counts[token] - want) * (counts[token] - want) / want;
      counts.erase(token);
    }
    EXPECT_TRUE(counts.empty()) << "drew token " << counts.begin()->first;
    return chi2;
  }

  Sampler sampler_;
};

TEST_F(SamplerTest, GreedyTakesTheLowerIdOnATie) {
  EXPECT_EQ(Draw(std::vector<float>{0, 2, 1, 2}, {.temperature = 0}), 1);
}

TEST_F(SamplerTest, GreedyIgnoresSeedAndPosition) {
  const std::vector<float> logits = RandomLogits(1000, 5);
  const int32_t token = Draw(logits, {.temperature = 0, .seed = 1}, 0);
  EXPECT_EQ(token, std::max_element(logits.begin(), logits.end()) - logits.begin());
  EXPECT_EQ(Draw(logits, {.temperature = 0, .seed = 2}, 9), token);
}

TEST_F(SamplerTest, RefusesLogitsOfABrokenModel) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const std::vector<float>& logits :
       {std::vector<float>{1, nan, 2}, {nan}, {}, {-kInfinity, -kInfinity}, {0, kInfinity}}) {
    for (const float temperature : {0.0f, 1.0f}) {
      EXPECT_THAT(sampler_.Draw(logits, {.temperature = temperature}, 12),
                  StatusIs(absl::StatusCode::kInternal, "output position 12"));
    }
  }
}

TEST_F(SamplerTest, NeverDrawsATokenOfProbabilityZero) {
  const std::vector<float> logits = {-kInfinity, 1, -kInfinity, 1, -kInfinity};
  EXPECT_EQ(Support(logits, {}, 500), (std::set<int32_t>{1, 3}));
  EXPECT_EQ(Support(logits, {.top_k = 4}, 500), (std::set<int32_t>{1, 3}));
  EXPECT_EQ(Support(logits, {.top_p = 0.999f}, 500), (std::set<int32_t>{1, 3}));
}

TEST_F(SamplerTest, PlainSamplingFollowsTheSoftmax) {
  const std::vector<float> logits = {0, 1, 2, -1, 0.5f};
  for (const float temperature : {0.7f, 1.0f, 2.0f}) {
    std::map<int32_t, double> expected;
    double total = 0;
    for (int i = 0; i < 5; ++i) total += expected[i] = std::exp(logits[i] / temperature);
    for (auto& [token, p] : expected) p /= total;
    EXPECT_LT(ChiSquare(logits, {.temperature = temperature, .seed = 3}, 40000, expected), 18.5)
        << "4 degrees of freedom, p = 0.001";
  }
}

TEST_F(SamplerTest, TopKKeepsExactlyKTokensAndRenormalises) {
  const std::vector<float> logits = {std::log(1.f), std::log(4.f), std::log(2.f), std::log(2.f),
                                     std::log(2.f)};
  // The third place is tied between 3 and 4: the lower id has it.
  EXPECT_LT(ChiSquare(logits, {.top_k = 3}, 20000, {{1, 0.5}, {2, 0.25}, {3, 0.25}}), 13.8);
}

TEST_F(SamplerTest, TopPKeepsTheSmallestSetThatReachesIt) {
  const std::vector<float> uniform = {0, 0, 0, 0};
  EXPECT_EQ(Support(uniform, {.top_p = 0.5f}, 300), (std::set<int32_t>{0, 1}));
  EXPECT_EQ(Support(uniform, {.top_p = 0.500001f}, 300), (std::set<int32_t>{0, 1, 2}));
  EXPECT_EQ(Support(uniform, {.top_p = 1e-6f}, 300), (std::set<int32_t>{0}));
}

TEST_F(SamplerTest, TopPIsAShareOfWhatTopKLeft) {
  // Of the best two, the first has 4/6 = 0.667: top_p 0.6 keeps it alone, 0.7 keeps both. Of all
  // four it has 0.5, which 0.6 would not be content with.
  const std::vector<float> logits = {std::log(4.f), std::log(2.f), 0, 0};
  EXPECT_EQ(Support(logits, {.top_p = 0.6f, .top_k = 2}, 300), (std::set<int32_t>{0}));
  EXPECT_EQ(Support(logits, {.top_p = 0.7f, .top_k = 2}, 300), (std::set<int32_t>{0, 1}));
  EXPECT_EQ(Support(logits, {.top_p = 0.6f}, 300), (std::set<int32_t>{0, 1}));
}

TEST_F(SamplerTest, TemperatureComesBeforeTopP) {
  // At temperature 0.5 the weights 4:2:1:1 become 16:4:1:1, and 16/22 = 0.727.
  const std::vector<float> logits = {std::log(4.f), std::log(2.f), 0, 0};
  EXPECT_EQ(Support(logits, {.temperature = 0.5f, .top_p = 0.7f}, 300), (std::set<int32_t>{0}));
}

TEST_F(SamplerTest, TinyTemperatureIsGreedyAndHugeIsUniform) {
  const std::vector<float> logits = {300, -300, 299.999f, 0};
  EXPECT_EQ(Support(logits, {.temperature = 1e-30f}, 100), (std::set<int32_t>{0}));
  EXPECT_EQ(Support(logits, {.temperature = 1e-30f, .top_p = 0.9f, .top_k = 3}, 100),
            (std::set<int32_t>{0}));
  EXPECT_LT(
      ChiSquare(logits, {.temperature = 1e30f}, 8000, {{0, .25}, {1, .25}, {2, .25}, {3, .25}}),
      16.3);
}

// The definition, spelt out with a full sort.
int32_t NaiveSample(std::span<const float> logits, const SamplingParams& params, int64_t position) {
  const size_t vocab = logits.size();
  std::vector<int32_t> ids(vocab);
  std::iota(ids.begin(), ids.end(), 0);
  const bool truncated = params.top_p < 1 || (params.top_k > 0 && params.top_k < int64_t(vocab));
  const float best = *std::max_element(logits.begin(), logits.end());
  const auto weight = [&](int32_t id) {
    return std::exp((double{logits[id]} - best) / params.temperature);
  };
  double total = 0;
  for (const int32_t id : ids) total += weight(id);
  if (truncated) {
    std::stable_sort(ids.begin(), ids.end(),
                     [&](int32_t a, int32_t b) { return logits[a] > logits[b]; });
    if (params.top_k > 0 && params.top_k < int64_t(vocab)) {
      ids.resize(params.top_k);
      total = 0;
      for (const int32_t id : ids) total += weight(id);
    }
    double mass = 0;
    for (size_t i = 0; i < ids.size(); ++i) {
      mass += weight(ids[i]);
      if (params.top_p < 1 && mass >= params.top_p * total) ids.resize(i + 1);
    }
    total = mass;
  }
  const double target = UniformAt(params.seed, position) * total;
  double sum = 0;
  for (const int32_t id : ids) {
    if ((sum += weight(id)) > target) return id;
  }
  return ids.back();
}

TEST_F(SamplerTest, EqualsTheDefinitionForEveryCombination) {
  int checked = 0;
  for (const int vocab : {1, 7, 65, 512, 5000}) {
    for (const float spread : {0.01f, 1.0f, 6.0f}) {  // 0.01 makes wide nuclei
      const std::vector<float> logits = RandomLogits(vocab, vocab, spread);
      for (const float top_p : {1.0f, 0.95f, 0.5f, 0.05f}) {
        for (const int32_t top_k : {0, 1, 20, 64, 4999}) {
          for (const float temperature : {0.6f, 1.3f}) {
            const SamplingParams params{temperature, top_p, top_k, /*seed=*/checked};
            for (int64_t position = 0; position < 5; ++position) {
              ASSERT_EQ(Draw(logits, params, position), NaiveSample(logits, params, position))
                  << vocab << " " << spread << " " << top_p << " " << top_k;
              ++checked;
            }
          }
        }
      }
    }
  }
  EXPECT_EQ(checked, 5 * 3 * 4 * 5 * 2 * 5);
}

TEST_F(SamplerTest, DependsOnNothingButItsArguments) {
  const std::vector<float> logits = RandomLogits(3000, 8);
  const SamplingParams params{.temperature = 0.9f, .top_p = 0.9f, .top_k = 0, .seed = 11};
  std::vector<int32_t> alone;
  for (int position = 0; position < 50; ++position) alone.push_back(Draw(logits, params, position));
  Sampler other;
  for (int position = 49; position >= 0; --position) {
    ASSERT_OK(other.Draw(RandomLogits(100, position), {.seed = position}, 0));
    EXPECT_EQ(other.Draw(logits, params, position).value(), alone[position]);
  }
}

TEST_F(SamplerTest, SeedsAndPositionsGiveDifferentDraws) {
  const std::vector<float> flat(1000, 0.0f);
  std::set<int32_t> by_seed, by_position;
  for (int i = 0; i < 100; ++i) {
    by_seed.insert(Draw(flat, {.seed = i}, 0));
    by_position.insert(Draw(flat, {.seed = 0}, i));
  }
  EXPECT_GT(by_seed.size(), 80u);
  EXPECT_GT(by_position.size(), 80u);
}

TEST_F(SamplerTest, LogprobsAreOfTheModelsOwnDistribution) {
  const std::vector<float> logits = {std::log(1.f), std::log(4.f), std::log(2.f), std::log(2.f),
                                     -kInfinity};
  const PositionLogprobs logprobs = sampler_.Logprobs(logits, 3, 3);
  EXPECT_FLOAT_EQ(logprobs.logprob, std::log(2.0 / 9));
  EXPECT_EQ(logprobs.rank, 2) << "one token is more likely; the tied one is not";
  ASSERT_EQ(logprobs.top.size(), 3u);
  EXPECT_EQ(logprobs.top[0].token_id, 1);
  EXPECT_FLOAT_EQ(logprobs.top[0].logprob, std::log(4.0 / 9));
  EXPECT_EQ(logprobs.top[1].token_id, 2);
  EXPECT_EQ(logprobs.top[2].token_id, 3);
}

TEST_F(SamplerTest, LogprobsOfTheWholeVocabularySumToOne) {
  const std::vector<float> logits = RandomLogits(6400, 2);
  const PositionLogprobs logprobs = sampler_.Logprobs(logits, 17, 1 << 20);
  ASSERT_EQ(logprobs.top.size(), logits.size());
  double sum = 0;
  for (size_t i = 0; i < logprobs.top.size(); ++i) {
    sum += std::exp(double{logprobs.top[i].logprob});
    if (i == 0) continue;
    ASSERT_GE(logprobs.top[i - 1].logprob, logprobs.top[i].logprob);
  }
  EXPECT_NEAR(sum, 1, 1e-5);
  EXPECT_EQ(logprobs.top[logprobs.rank - 1].token_id, 17);
}

TEST_F(SamplerTest, NoTopLogprobsWhenNoneWereAskedFor) {
  EXPECT_TRUE(sampler_.Logprobs(std::vector<float>{0, 1}, 0, 0).top.empty());
}

}  // namespace
}  // namespace vallm::engine
