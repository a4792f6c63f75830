// The sampler against its definition, spelt out in double with full sorts: the same token for every
// combination of parameters, unless the draw falls so near to a border between two tokens that
// rounding may decide.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <vector>

#include "engine_service/sampling/philox.h"
#include "engine_service/sampling/sampler.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using testing::StatusIs;

// Share of the probability that rounding may move a border by.
constexpr double kSlack = 2e-6;

struct Row {
  std::vector<float> logits;
  SamplingParams params;
  std::vector<int32_t> prompt;
  std::vector<int32_t> output;
};

// Steps 2 to 8 of logits_processors.h.
std::vector<double> ProcessedLogits(const Row& row) {
  const double forbidden = -std::numeric_limits<double>::infinity();
  const SamplingParams& p = row.params;
  std::vector<double> logits(row.logits.begin(), row.logits.end());
  const auto contains = [](const std::vector<int32_t>& ids, int32_t id) {
    return std::find(ids.begin(), ids.end(), id) != ids.end();
  };
  for (int32_t id = 0; id < int32_t(logits.size()); ++id) {
    double& logit = logits[id];
    if (!p.allowed_ids.empty() && !contains(p.allowed_ids, id)) logit = forbidden;
    for (std::vector<int32_t> word : p.bad_words) {
      if (word.back() != id || word.size() > row.output.size() + 1) continue;
      word.pop_back();
      if (std::equal(word.rbegin(), word.rend(), row.output.rbegin())) logit = forbidden;
    }
    if (int32_t(row.output.size()) < p.min_tokens && contains(p.end_ids, id)) logit = forbidden;
    for (const LogitBias& entry : p.logit_bias) logit += entry.token_id == id ? entry.bias : 0;
    const double count = std::count(row.output.begin(), row.output.end(), id);
    if (count > 0 || contains(row.prompt, id)) {
      logit = logit > 0 ? logit / p.repetition_penalty : logit * p.repetition_penalty;
    }
    logit -= p.frequency_penalty * count;
    logit -= count > 0 ? p.presence_penalty : 0;
  }
  return logits;
}

struct Candidate {
  int32_t token_id;
  double weight;
};

// Tokens that may come, in the order in which the draw goes through them.
std::vector<Candidate> Candidates(const Row& row) {
  const std::vector<double> logits = ProcessedLogits(row);
  const double best = *std::max_element(logits.begin(), logits.end());
  std::vector<Candidate> tokens;
  for (size_t id = 0; id < logits.size(); ++id) {
    tokens.push_back({int32_t(id), std::exp((logits[id] - best) / row.params.temperature)});
  }
  const bool top_k = row.params.top_k > 0 && size_t(row.params.top_k) < tokens.size();
  if (!top_k && row.params.top_p >= 1 && row.params.min_p <= 0) return tokens;
  std::stable_sort(tokens.begin(), tokens.end(),
                   [](const Candidate& a, const Candidate& b) { return a.weight > b.weight; });
  std::erase_if(tokens, [&](const Candidate& t) { return t.weight < row.params.min_p; });
  if (top_k && size_t(row.params.top_k) < tokens.size()) tokens.resize(row.params.top_k);
  double total = 0;
  for (const Candidate& token : tokens) total += token.weight;
  double mass = 0;
  for (size_t i = 0; i < tokens.size() && row.params.top_p < 1; ++i) {
    mass += tokens[i].weight;
    if (mass >= row.params.top_p * total) tokens.resize(i + 1);
  }
  return tokens;
}

// What `drawn` would have to be; more than one id where the draw is on a border.
std::vector<int32_t> Expected(const Row& row) {
  if (row.params.temperature == 0) {
    const std::vector<double> logits = ProcessedLogits(row);
    return {int32_t(std::max_element(logits.begin(), logits.end()) - logits.begin())};
  }
  const std::vector<Candidate> tokens = Candidates(row);
  double total = 0;
  for (const Candidate& token : tokens) total += token.weight;
  const double target = UniformAt(row.params.seed, int64_t(row.output.size())) * total;
  std::vector<int32_t> expected;
  double sum = 0;
  for (const Candidate& token : tokens) {
    const bool reached = sum + token.weight > target - kSlack * total;
    const bool passed = sum > target + kSlack * total;
    if (reached && !passed && token.weight > 0) expected.push_back(token.token_id);
    sum += token.weight;
  }
  return expected;
}

class SamplerReferenceTest : public ::testing::Test {
 protected:
  // A row with a random selection of everything.
  Row RandomRow(int vocab, float spread) {
    Row row;
    std::normal_distribution<float> normal(0, spread);
    for (int i = 0; i < vocab; ++i) row.logits.push_back(normal(random_));
    const auto ids = [&](int count) {
      std::vector<int32_t> result;
      for (int i = 0; i < count; ++i) result.push_back(int32_t(random_() % vocab));
      return result;
    };
    row.prompt = ids(random_() % 20);
    row.output = ids(random_() % 20);
    SamplingParams& p = row.params;
    const auto one_of = [&](std::initializer_list<float> values) {
      return *(values.begin() + random_() % values.size());
    };
    p.temperature = one_of({0, 0.3f, 0.7f, 1, 1.5f});
    p.top_p = one_of({1, 1, 0.95f, 0.5f, 0.1f});
    p.top_k = int32_t(one_of({0, 0, 1, 5, 40, 3000}));
    p.min_p = one_of({0, 0, 0.001f, 0.05f, 0.5f, 1});
    p.repetition_penalty = one_of({1, 1, 1.1f, 2, 0.8f});
    p.presence_penalty = one_of({0, 0, 1.5f, -0.5f});
    p.frequency_penalty = one_of({0, 0, 0.3f, -0.2f});
    p.seed = int64_t(random_());
    if (random_() % 3 == 0) {
      for (const int32_t id : ids(3)) p.logit_bias.push_back({id, one_of({-100, -3, 2, 6})});
    }
    if (random_() % 3 == 0) {
      p.bad_words = {ids(1)};
      if (!row.output.empty()) p.bad_words.push_back({row.output.back(), ids(1)[0]});
    }
    if (random_() % 4 == 0) {
      p.allowed_ids = ids(1 + random_() % 30);
      std::sort(p.allowed_ids.begin(), p.allowed_ids.end());
    }
    if (random_() % 3 == 0) {
      p.min_tokens = 10;
      p.end_ids = ids(2);
    }
    return row;
  }

  std::mt19937 random_{20261124};
  Sampler sampler_;
};

TEST_F(SamplerReferenceTest, DrawsTheTokenOfTheDefinition) {
  int on_a_border = 0, drawn = 0;
  for (const int vocab : {2, 17, 200, 5000}) {
    for (const float spread : {0.0f, 0.01f, 1.0f, 5.0f}) {
      for (int i = 0; i < (vocab > 1000 ? 30 : 250); ++i) {
        const Row row = RandomRow(vocab, spread);
        const std::vector<double> processed = ProcessedLogits(row);
        const auto token =
            sampler_.Sample(row.logits, SamplingState(row.params, row.prompt, row.output));
        if (std::none_of(processed.begin(), processed.end(),
                         [](double logit) { return std::isfinite(logit); })) {
          EXPECT_THAT(token, StatusIs(absl::StatusCode::kInvalidArgument, "no token is left"));
          continue;
        }
        ASSERT_OK(token);
        const std::vector<int32_t> expected = Expected(row);
        ASSERT_NE(std::find(expected.begin(), expected.end(), *token), expected.end())
            << "row " << i << " vocab " << vocab << " spread " << spread << ": got " << *token
            << ", expected " << expected.at(0) << "; temperature " << row.params.temperature
            << " top_p " << row.params.top_p << " top_k " << row.params.top_k << " min_p "
            << row.params.min_p;
        on_a_border += expected.size() > 1;
        ++drawn;
      }
    }
  }
  EXPECT_GT(drawn, 2500);
  EXPECT_LT(on_a_border, drawn / 20) << "the comparison must mean something";
}

TEST_F(SamplerReferenceTest, WideNucleiFollowTheDistribution) {
  // 20,000 tokens, none of them likely: far more than a selection looks at.
  Row row;
  std::normal_distribution<float> normal(0, 0.5f);
  for (int i = 0; i < 20000; ++i) row.logits.push_back(normal(random_));
  row.params.top_p = 0.9f;
  const std::vector<Candidate> tokens = Candidates(row);
  ASSERT_GT(tokens.size(), 10000u);
  // Ranks in ten equal shares of the probability.
  std::map<int32_t, int> share_of;
  double total = 0, sum = 0;
  for (const Candidate& token : tokens) total += token.weight;
  for (const Candidate& token : tokens) {
    share_of[token.token_id] = int(10 * sum / total);
    sum += token.weight;
  }
  constexpr int kDraws = 2000;
  std::vector<int> counts(10);
  for (int position = 0; position < kDraws; ++position) {
    const auto token = sampler_.Draw(row.logits, row.params, position);
    ASSERT_OK(token);
    ASSERT_TRUE(share_of.contains(*token)) << "outside of the nucleus";
    ++counts[share_of[*token]];
  }
  double chi2 = 0;
  for (const int count : counts) chi2 += std::pow(count - kDraws / 10.0, 2) / (kDraws / 10.0);
  EXPECT_LT(chi2, 27.9) << "9 degrees of freedom, p = 0.001";
}

TEST_F(SamplerReferenceTest, ForbiddingEverythingIsTheRequestsFaultAndNanTheModels) {
  const SamplingState nothing({.bad_words = {{0}}, .allowed_ids = {0}}, {}, {});
  EXPECT_THAT(sampler_.Sample(std::vector<float>{1, 2}, nothing),
              StatusIs(absl::StatusCode::kInvalidArgument, "no token is left"));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(sampler_.Sample(std::vector<float>{nan, 2}, nothing),
              StatusIs(absl::StatusCode::kInternal, "without a finite maximum"));
  const std::vector<uint64_t> mask = {0};
  EXPECT_THAT(sampler_.Sample(std::vector<float>{1, 2}, SamplingState({}, {}, {}), mask),
              StatusIs(absl::StatusCode::kInvalidArgument, "no token is left"));
}

}  // namespace
}  // namespace vallm::engine
