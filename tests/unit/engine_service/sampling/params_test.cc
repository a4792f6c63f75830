#include "engine_service/sampling/params.h"

#include <limits>

#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using testing::StatusIs;

constexpr SamplingParams kDefaults{.temperature = 0.6f, .top_p = 0.95f, .top_k = 20, .seed = 77};

TEST(ResolveSamplingTest, AbsentFieldsTakeTheDefaults) {
  const auto params = ResolveSampling({}, kDefaults);
  ASSERT_OK(params);
  EXPECT_EQ(*params, kDefaults);
}

TEST(ResolveSamplingTest, ZeroIsAValueAndNotAnAbsence) {
  const auto params =
      ResolveSampling({.temperature = 0.0f, .top_p = {}, .top_k = 0, .seed = 0}, kDefaults);
  ASSERT_OK(params);
  EXPECT_EQ(*params, (SamplingParams{.temperature = 0, .top_p = 0.95f, .top_k = 0, .seed = 0}));
}

TEST(ResolveSamplingTest, RefusesValuesOutOfRangeWithFieldAndValue) {
  const auto refused = [](const SamplingOverrides& overrides, const char* text) {
    EXPECT_THAT(ResolveSampling(overrides, kDefaults),
                StatusIs(absl::StatusCode::kInvalidArgument, text));
  };
  refused({.temperature = -0.5f}, "temperature is -0.5");
  refused({.temperature = std::numeric_limits<float>::quiet_NaN()}, "temperature is nan");
  refused({.temperature = std::numeric_limits<float>::infinity()}, "temperature is inf");
  refused({.top_p = 0.0f}, "top_p is 0;");
  refused({.top_p = 1.5f}, "top_p is 1.5");
  refused({.top_p = std::numeric_limits<float>::quiet_NaN()}, "top_p is nan");
  refused({.top_k = -1}, "top_k is -1");
}

TEST(ResolveSamplingTest, AcceptsTheEdgesOfTheRanges) {
  EXPECT_OK(ResolveSampling({.temperature = 1e-30f, .top_p = 1.0f, .top_k = 1 << 30}, kDefaults));
}

}  // namespace
}  // namespace vallm::engine
