#include "engine_service/sampling/logits_processors.h"

#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace vallm::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

constexpr float kForbidden = -std::numeric_limits<float>::infinity();

class LogitsProcessorsTest : public ::testing::Test {
 protected:
  std::vector<float> Apply(const std::vector<float>& logits, const SamplingParams& params,
                           const std::vector<int32_t>& prompt = {},
                           const std::vector<int32_t>& output = {}, TokenMask mask = {}) {
    const SamplingState state(params, prompt, output);
    const std::span<const float> result = processors_.Apply(logits, state, mask);
    return {result.begin(), result.end()};
  }

  LogitsProcessors processors_;
};

TEST_F(LogitsProcessorsTest, LeavesTheRowAloneWhereNothingApplies) {
  const std::vector<float> logits = {1, 2, 3};
  const SamplingState state({.temperature = 0.5f, .min_p = 0.2f, .end_ids = {1}},
                            std::vector<int32_t>{1}, std::vector<int32_t>{2});
  EXPECT_EQ(processors_.Apply(logits, state, {}).data(), logits.data()) << "not even a copy";
}

TEST_F(LogitsProcessorsTest, RepetitionLooksAtPromptAndOutputAndAtTheSign) {
  EXPECT_THAT(Apply({4, -4, 4, -4, 4}, {.repetition_penalty = 2}, {0, 1, 0}, {3}),
              ElementsAre(2, -8, 4, -8, 4));
}

TEST_F(LogitsProcessorsTest, FrequencyCountsAndPresenceDoesNotAndThePromptIsNoOutput) {
  EXPECT_THAT(Apply({0, 0, 0, 0}, {.frequency_penalty = 0.5f}, {0, 1}, {1, 2, 1, 1}),
              ElementsAre(0, -1.5f, -0.5f, 0));
  EXPECT_THAT(Apply({0, 0, 0, 0}, {.presence_penalty = 0.5f}, {0, 1}, {1, 2, 1, 1}),
              ElementsAre(0, -0.5f, -0.5f, 0));
  EXPECT_THAT(Apply({0, 0, 0}, {.presence_penalty = -1, .frequency_penalty = -0.5f}, {}, {2, 2}),
              ElementsAre(0, 0, 2))
      << "negative ones encourage";
}

TEST_F(LogitsProcessorsTest, AppendedTokensCountAsTheOnesGivenAtOnce) {
  const SamplingParams params{
      .repetition_penalty = 1.3f, .presence_penalty = 0.4f, .frequency_penalty = 0.7f};
  const std::vector<int32_t> prompt = {5, 6, 5}, output = {1, 5, 1, 2};
  const std::vector<float> logits = {1, 2, -3, 4, 5, -6, 7};
  for (size_t cut = 0; cut <= output.size(); ++cut) {
    SamplingState grown(params, prompt, std::span(output).first(cut));
    for (size_t i = cut; i < output.size(); ++i) grown.Append(output[i]);
    EXPECT_EQ(grown.next_position(), 4);
    EXPECT_THAT(processors_.Apply(logits, grown, {}),
                ElementsAreArray(Apply(logits, params, prompt, output)));
  }
}

TEST_F(LogitsProcessorsTest, BiasIsAddedBeforePenalties) {
  // (1 + 3) / 2, not 1 / 2 + 3.
  EXPECT_THAT(Apply({1, 1}, {.repetition_penalty = 2, .logit_bias = {{0, 3}}}, {0}),
              ElementsAre(2, 1));
}

TEST_F(LogitsProcessorsTest, BadWordsForbidTheLastIdAfterTheOthers) {
  const SamplingParams params{.bad_words = {{0}, {1, 2}, {3, 1, 4}}};
  EXPECT_THAT(Apply({9, 9, 9, 9, 9}, params), ElementsAre(kForbidden, 9, 9, 9, 9));
  EXPECT_THAT(Apply({9, 9, 9, 9, 9}, params, {}, {1}),
              ElementsAre(kForbidden, 9, kForbidden, 9, 9));
  EXPECT_THAT(Apply({9, 9, 9, 9, 9}, params, {}, {3, 1}),
              ElementsAre(kForbidden, 9, kForbidden, 9, kForbidden));
  EXPECT_THAT(Apply({9, 9, 9, 9, 9}, params, {3, 1}, {2}), ElementsAre(kForbidden, 9, 9, 9, 9))
      << "the prompt is not looked at";
}

TEST_F(LogitsProcessorsTest, OnlyAllowedIdsStay) {
  EXPECT_THAT(Apply({1, 2, 3, 4, 5}, {.allowed_ids = {1, 1, 3}}),
              ElementsAre(kForbidden, 2, kForbidden, 4, kForbidden));
  EXPECT_THAT(Apply({1, 2}, {.allowed_ids = {0, 1}}), ElementsAre(1, 2));
}

TEST_F(LogitsProcessorsTest, AForbiddenTokenStaysForbiddenWhateverTheBias) {
  EXPECT_THAT(
      Apply({1, 2, 3}, {.logit_bias = {{0, 100}}, .bad_words = {{0}}, .allowed_ids = {0, 1}}),
      ElementsAre(kForbidden, 2, kForbidden));
}

TEST_F(LogitsProcessorsTest, EndsAreForbiddenUntilMinTokensResumedOnesCounted) {
  const SamplingParams params{.min_tokens = 2, .end_ids = {1}};
  EXPECT_THAT(Apply({1, 2}, params), ElementsAre(1, kForbidden));
  EXPECT_THAT(Apply({1, 2}, params, {0, 0}, {0}), ElementsAre(1, kForbidden));
  EXPECT_THAT(Apply({1, 2}, params, {}, {0, 0}), ElementsAre(1, 2));
}

TEST_F(LogitsProcessorsTest, AMaskForbidsWhatItDoesNotName) {
  std::vector<float> logits(200, 1.0f);
  std::vector<uint64_t> mask = {~uint64_t{0}, 0, uint64_t{1} << 5};
  const std::vector<float> result = Apply(logits, {}, {}, {}, mask);
  for (size_t id = 0; id < result.size(); ++id) {
    EXPECT_EQ(result[id], id < 64 || id == 133 ? 1 : kForbidden) << id;
  }
  // Bits beyond the vocabulary mean nothing.
  mask = {~uint64_t{0}, ~uint64_t{0}};
  EXPECT_THAT(Apply({1, 2, 3}, {}, {}, {}, mask), ElementsAre(1, 2, 3));
}

}  // namespace
}  // namespace vallm::engine
