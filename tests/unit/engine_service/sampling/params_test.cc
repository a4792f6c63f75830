#include "engine_service/sampling/params.h"

#include <limits>

#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using testing::StatusIs;

constexpr int32_t kVocab = 100;
const SamplingParams kDefaults{.temperature = 0.6f, .top_p = 0.95f, .top_k = 20, .seed = 77};

TEST(ResolveSamplingTest, AbsentFieldsTakeTheDefaults) {
  const auto params = ResolveSampling({}, kDefaults, kVocab);
  ASSERT_OK(params);
  EXPECT_EQ(*params, kDefaults);
}

TEST(ResolveSamplingTest, ZeroIsAValueAndNotAnAbsence) {
  const auto params =
      ResolveSampling({.temperature = 0.0f, .top_p = {}, .top_k = 0, .seed = 0}, kDefaults, kVocab);
  ASSERT_OK(params);
  EXPECT_EQ(*params, (SamplingParams{.temperature = 0, .top_p = 0.95f, .top_k = 0, .seed = 0}));
}

TEST(ResolveSamplingTest, RefusesValuesOutOfRangeWithFieldAndValue) {
  const auto refused = [](const SamplingOverrides& overrides, const char* text) {
    EXPECT_THAT(ResolveSampling(overrides, kDefaults, kVocab),
                StatusIs(absl::StatusCode::kInvalidArgument, text));
  };
  refused({.temperature = -0.5f}, "temperature is -0.5");
  refused({.temperature = std::numeric_limits<float>::quiet_NaN()}, "temperature is nan");
  refused({.temperature = std::numeric_limits<float>::infinity()}, "temperature is inf");
  refused({.top_p = 0.0f}, "top_p is 0;");
  refused({.top_p = 1.5f}, "top_p is 1.5");
  refused({.top_p = std::numeric_limits<float>::quiet_NaN()}, "top_p is nan");
  refused({.top_k = -1}, "top_k is -1");
  refused({.min_p = 1.5f}, "min_p is 1.5; it must be in 0 to 1");
  refused({.min_p = -0.1f}, "min_p is -0.1");
  refused({.repetition_penalty = 0.0f}, "repetition_penalty is 0; it must be finite and above 0");
  refused({.repetition_penalty = std::numeric_limits<float>::infinity()}, "repetition_penalty");
  refused({.presence_penalty = 2.5f}, "presence_penalty is 2.5; it must be in -2 to 2");
  refused({.presence_penalty = std::numeric_limits<float>::quiet_NaN()}, "presence_penalty is nan");
  refused({.frequency_penalty = -2.1f}, "frequency_penalty is -2.1");
}

TEST(ResolveSamplingTest, RefusesIdsOutsideTheVocabularyAndEmptyLists) {
  const auto refused = [](const SamplingOverrides& overrides, const char* text) {
    EXPECT_THAT(ResolveSampling(overrides, kDefaults, kVocab),
                StatusIs(absl::StatusCode::kInvalidArgument, text));
  };
  refused({.logit_bias = {{100, 1}}}, "logit_bias has id 100; the vocabulary has ids 0 to 99");
  refused({.logit_bias = {{5, 101}}}, "logit_bias of id 5 is 101; it must be in -100 to 100");
  refused({.logit_bias = std::vector<LogitBias>(1025, {1, 1})}, "logit_bias has 1025 entries");
  refused({.bad_words = {{1}, {}}}, "bad_words[1] is empty");
  refused({.bad_words = {{1}, {2, -3}}}, "bad_words[1] has id -3");
  refused({.allowed_ids = std::vector<int32_t>{}}, "allowed_token_ids is empty");
  refused({.allowed_ids = std::vector<int32_t>{3, 100}}, "allowed_token_ids has id 100");
}

TEST(ResolveSamplingTest, SortsAllowedIdsAndKeepsTheRest) {
  const auto params = ResolveSampling({.min_p = 0.1f,
                                       .repetition_penalty = 1.2f,
                                       .presence_penalty = -2.0f,
                                       .frequency_penalty = 2.0f,
                                       .logit_bias = {{7, -100}},
                                       .bad_words = {{1, 2}},
                                       .allowed_ids = std::vector<int32_t>{9, 3}},
                                      kDefaults, kVocab);
  ASSERT_OK(params);
  SamplingParams expected = kDefaults;
  expected.min_p = 0.1f;
  expected.repetition_penalty = 1.2f;
  expected.presence_penalty = -2;
  expected.frequency_penalty = 2;
  expected.logit_bias = {{7, -100}};
  expected.bad_words = {{1, 2}};
  expected.allowed_ids = {3, 9};
  EXPECT_EQ(*params, expected);
}

TEST(ResolveSamplingTest, AcceptsTheEdgesOfTheRanges) {
  EXPECT_OK(
      ResolveSampling({.temperature = 1e-30f, .top_p = 1.0f, .top_k = 1 << 30}, kDefaults, kVocab));
}

}  // namespace
}  // namespace vallm::engine
