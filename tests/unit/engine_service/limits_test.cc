#include "engine_service/limits.h"

#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using absl::StatusCode;
using testing::StatusIs;

// A config.json of the right shape with that many positions.
ModelConfig ConfigWith(int32_t max_position_embeddings) {
  ModelConfig config;
  config.max_position_embeddings = max_position_embeddings;
  config.head_dim = 128;
  config.rope_theta = 1e6;
  return config;
}

class LimitsTest : public ::testing::Test {
 protected:
  absl::StatusOr<ModelLimits> Resolve() { return ResolveLimits(config_, options_); }

  ModelConfig config_ = ConfigWith(40960);  // Qwen3-30B-A3B-FP8
  EngineOptions options_;
};

TEST_F(LimitsTest, TheModelsPositionsBoundTheProductsLimits) {
  const auto limits = Resolve();
  ASSERT_OK(limits);
  EXPECT_EQ(limits->max_model_len, 40960);
  EXPECT_EQ(limits->max_input_len, 40959);
  EXPECT_EQ(limits->rope_scaling_json, "");
}

TEST_F(LimitsTest, MoreThanTheModelsPositionsHasToBeAllowed) {
  options_.max_model_len = 50000;
  EXPECT_THAT(Resolve(), StatusIs(absl::StatusCode::kInvalidArgument, "the model has 40960"));
  options_.allow_long_max_model_len = true;
  const auto limits = Resolve();
  ASSERT_OK(limits);
  EXPECT_EQ(limits->max_model_len, 50000);
  EXPECT_EQ(limits->rope_scaling_json, "");
}

TEST_F(LimitsTest, InstructModelsHaveSixtyFourThousandPositions) {
  config_ = ConfigWith(262144);  // Qwen3-30B-A3B-Instruct-2507-FP8
  for (const int32_t ranks : {1, 2, 4, 8}) {
    options_.tensor_parallel_size = ranks;
    const auto limits = Resolve();
    ASSERT_OK(limits);
    EXPECT_EQ(limits->max_model_len, 65536);
    EXPECT_EQ(limits->max_input_len, 57344);
  }
}

TEST_F(LimitsTest, YarnExtendsToTheProductsTable) {
  options_.enable_qwen3_rope_scaling = true;
  options_.tensor_parallel_size = 2;
  auto limits = Resolve();
  ASSERT_OK(limits);
  EXPECT_EQ(limits->max_model_len, 65536);
  EXPECT_EQ(limits->max_input_len, 57344);
  EXPECT_EQ(limits->rope_scaling_json,
            R"({"rope_type":"yarn","factor":2.0,"original_max_position_embeddings":32768})");
  options_.tensor_parallel_size = 4;
  limits = Resolve();
  ASSERT_OK(limits);
  EXPECT_EQ(limits->max_model_len, 131072);
  EXPECT_EQ(limits->max_input_len, 102400);
  EXPECT_EQ(limits->rope_scaling_json,
            R"({"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":32768})");
}

TEST_F(LimitsTest, TheYarnFactorIsTheLeastThatFits) {
  options_.enable_qwen3_rope_scaling = true;
  for (const auto& [length, factor] : {std::pair{32769, "2.0"}, {65536, "2.0"}, {65537, "3.0"}}) {
    options_.max_model_len = length;
    EXPECT_THAT(Resolve()->rope_scaling_json,
                ::testing::HasSubstr(std::string("\"factor\":") + factor));
  }
  options_.max_model_len = 32768;
  EXPECT_EQ(Resolve()->rope_scaling_json, "null") << "factor 1 is no scaling at all";
}

TEST_F(LimitsTest, TheScalingItWritesIsOneTheModelReads) {
  options_.enable_qwen3_rope_scaling = true;
  for (const int32_t length : {32768, 100000}) {
    options_.max_model_len = length;
    ModelConfig config = config_;
    ASSERT_OK(OverrideRopeScaling(Resolve()->rope_scaling_json, config));
    EXPECT_EQ(config.yarn.has_value(), length > 32768);
    EXPECT_EQ(config.yarn.value_or(YarnScaling{4}).factor, 4);
  }
}

TEST_F(LimitsTest, AnOverrideBringsItsOwnPositions) {
  options_.rope_scaling_json =
      R"({"rope_type":"yarn","factor":2.0,"original_max_position_embeddings":1000})";
  auto limits = Resolve();
  ASSERT_OK(limits);
  EXPECT_EQ(limits->max_model_len, 2000);
  EXPECT_EQ(limits->rope_scaling_json, options_.rope_scaling_json);
  options_.max_model_len = 2001;
  EXPECT_THAT(Resolve(), StatusIs(StatusCode::kInvalidArgument, "the model has 2000 positions"));
  options_.rope_scaling_json = "{nonsense";
  EXPECT_THAT(Resolve(), StatusIs(StatusCode::kInvalidArgument, ""));
  options_.rope_scaling_json = "null";
  options_.enable_qwen3_rope_scaling = true;
  EXPECT_THAT(Resolve(), StatusIs(StatusCode::kInvalidArgument, "exclude one another"));
}

TEST_F(LimitsTest, OptionsWinWithinTheirRanges) {
  options_.max_model_len = 1000;
  EXPECT_EQ(Resolve()->max_input_len, 999);
  options_.max_input_len = 10;
  EXPECT_EQ(Resolve()->max_input_len, 10);
  options_.max_input_len = 1000;
  EXPECT_THAT(Resolve(), StatusIs(StatusCode::kInvalidArgument,
                                  "--max-input-len is 1000; it must be at least 1 and below the "
                                  "model length 1000"));
  options_.max_input_len = 0;
  EXPECT_THAT(Resolve(), StatusIs(StatusCode::kInvalidArgument, "--max-input-len is 0"));
  options_.max_input_len.reset();
  options_.max_model_len = 1;
  EXPECT_THAT(Resolve(), StatusIs(StatusCode::kInvalidArgument, "--max-model-len is 1"));
  options_.max_model_len = 40961;
  EXPECT_THAT(Resolve(), StatusIs(StatusCode::kInvalidArgument,
                                  "--max-model-len is 40961; the model has 40960 positions"));
}

}  // namespace
}  // namespace vallm::engine
