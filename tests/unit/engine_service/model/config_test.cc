#include "engine_service/model/config.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "gtest/gtest.h"
#include "tests/testing/safetensors_writer.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::vallm::testing::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kUnsupported = absl::StatusCode::kUnimplemented;

json Dense() {
  return {{"architectures", {"Qwen3ForCausalLM"}},
          {"vocab_size", 512},
          {"hidden_size", 128},
          {"num_hidden_layers", 3},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 2},
          {"head_dim", 32},
          {"intermediate_size", 352},
          {"max_position_embeddings", 512},
          {"rms_norm_eps", 1e-6},
          {"rope_theta", 1000000},
          {"rope_scaling", nullptr},
          {"hidden_act", "silu"},
          {"attention_bias", false},
          {"use_sliding_window", false},
          {"sliding_window", nullptr},
          {"tie_word_embeddings", true},
          {"eos_token_id", 476},
          {"bos_token_id", 474}};
}

json Moe() {
  json config = Dense();
  config.update({{"architectures", {"Qwen3MoeForCausalLM"}},
                 {"num_experts", 8},
                 {"num_experts_per_tok", 2},
                 {"moe_intermediate_size", 96},
                 {"norm_topk_prob", true},
                 {"decoder_sparse_step", 1},
                 {"mlp_only_layers", json::array()}});
  return config;
}

json Fp8() {
  return {{"quant_method", "fp8"},
          {"fmt", "e4m3"},
          {"activation_scheme", "dynamic"},
          {"weight_block_size", {128, 128}},
          {"modules_to_not_convert", {"lm_head"}}};
}

json With(json config, const json& changes) {
  config.update(changes);
  return config;
}

absl::StatusOr<ModelConfig> Parse(const json& config, const json& generation = json::object()) {
  return ParseModelConfig(config.dump(), generation.dump());
}

TEST(ModelConfigTest, ReadsADenseModel) {
  const auto config = Parse(Dense());
  ASSERT_OK(config);
  EXPECT_EQ(config->architecture, "Qwen3ForCausalLM");
  EXPECT_EQ(config->vocab_size, 512);
  EXPECT_EQ(config->hidden_size, 128);
  EXPECT_EQ(config->num_layers, 3);
  EXPECT_EQ(config->num_heads, 4);
  EXPECT_EQ(config->num_kv_heads, 2);
  EXPECT_EQ(config->head_dim, 32);
  EXPECT_EQ(config->intermediate_size, 352);
  EXPECT_EQ(config->max_position_embeddings, 512);
  EXPECT_EQ(config->rms_norm_eps, 1e-6f);
  EXPECT_EQ(config->rope_theta, 1e6);
  EXPECT_TRUE(config->tie_word_embeddings);
  EXPECT_FALSE(config->yarn.has_value());
  EXPECT_FALSE(config->moe.has_value());
  EXPECT_FALSE(config->fp8.has_value());
  EXPECT_EQ(config->bos_token_id, 474);
  EXPECT_FALSE(config->IsSparseLayer(0));
}

TEST(ModelConfigTest, ReadsExpertsAndWhichLayersHaveThem) {
  const auto config = Parse(With(
      Moe(), {{"decoder_sparse_step", 2}, {"mlp_only_layers", {1}}, {"num_hidden_layers", 6}}));
  ASSERT_OK(config);
  ASSERT_TRUE(config->moe.has_value());
  EXPECT_EQ(config->moe->num_experts, 8);
  EXPECT_EQ(config->moe->experts_per_token, 2);
  EXPECT_EQ(config->moe->intermediate_size, 96);
  EXPECT_TRUE(config->moe->norm_topk_prob);
  std::vector<bool> sparse;
  for (int i = 0; i < 6; ++i) sparse.push_back(config->IsSparseLayer(i));
  EXPECT_THAT(sparse, ElementsAre(false, false, false, true, false, true));
}

TEST(ModelConfigTest, AbsentMoeOptionsHaveTransformersDefaults) {
  json config = Moe();
  config.erase("norm_topk_prob");
  config.erase("decoder_sparse_step");
  config.erase("mlp_only_layers");
  const auto parsed = Parse(config);
  ASSERT_OK(parsed);
  EXPECT_FALSE(parsed->moe->norm_topk_prob);
  EXPECT_TRUE(parsed->IsSparseLayer(0));
}

TEST(ModelConfigTest, ReadsBlockFp8) {
  const auto config = Parse(With(Dense(), {{"quantization_config", Fp8()}}));
  ASSERT_OK(config);
  ASSERT_TRUE(config->fp8.has_value());
  EXPECT_EQ(config->fp8->block_rows, 128);
  EXPECT_EQ(config->fp8->block_cols, 128);
  EXPECT_THAT(config->fp8->modules_to_not_convert, ElementsAre("lm_head"));
}

TEST(ModelConfigTest, ReadsYarnInBothSpellings) {
  const json yarn = {
      {"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 64}};
  json parameters = With(Dense(), {{"rope_parameters", yarn}});
  parameters.erase("rope_scaling");
  parameters.erase("rope_theta");
  parameters["rope_parameters"]["rope_theta"] = 5000.0;
  const auto a = Parse(With(Dense(), {{"rope_scaling", yarn}}));
  const auto b = Parse(parameters);
  ASSERT_OK(a);
  ASSERT_OK(b);
  EXPECT_EQ(a->rope_theta, 1e6);
  EXPECT_EQ(b->rope_theta, 5000);
  for (const auto& config : {*a, *b}) {
    ASSERT_TRUE(config.yarn.has_value());
    EXPECT_EQ(config.yarn->factor, 4);
    EXPECT_EQ(config.yarn->original_max_position, 64);
    EXPECT_EQ(config.yarn->beta_fast, 32);
    EXPECT_EQ(config.yarn->beta_slow, 1);
    EXPECT_TRUE(config.yarn->truncate);
    EXPECT_DOUBLE_EQ(config.yarn->attention_factor, 0.1 * std::log(4.0) + 1);
  }
}

TEST(ModelConfigTest, YarnOptionsOverrideTheDefaults) {
  const auto config = Parse(With(Dense(), {{"rope_scaling",
                                            {{"type", "yarn"},
                                             {"factor", 2},
                                             {"beta_fast", 16},
                                             {"beta_slow", 2},
                                             {"attention_factor", 1.5},
                                             {"truncate", false}}}}));
  ASSERT_OK(config);
  EXPECT_EQ(config->yarn->original_max_position, 512);  // max_position_embeddings
  EXPECT_EQ(config->yarn->beta_fast, 16);
  EXPECT_EQ(config->yarn->beta_slow, 2);
  EXPECT_EQ(config->yarn->attention_factor, 1.5);
  EXPECT_FALSE(config->yarn->truncate);
}

TEST(ModelConfigTest, RopeScalingCanBeOverridden) {
  auto config = Parse(Dense());
  ASSERT_OK(config);
  ASSERT_OK(OverrideRopeScaling(
      R"({"rope_type":"yarn","factor":2.0,"original_max_position_embeddings":32768})", *config));
  ASSERT_TRUE(config->yarn.has_value());
  EXPECT_EQ(config->yarn->factor, 2);
  EXPECT_EQ(config->rope_theta, 1e6);
  EXPECT_THAT(OverrideRopeScaling(R"({"rope_type":"linear","factor":2.0})", *config),
              StatusIs(kUnsupported, "linear"));
  EXPECT_THAT(OverrideRopeScaling("{", *config), StatusIs(kInvalid, "not valid JSON"));
  EXPECT_TRUE(config->yarn.has_value()) << "unchanged on error";
  ASSERT_OK(OverrideRopeScaling("null", *config));
  EXPECT_FALSE(config->yarn.has_value());
}

TEST(ModelConfigTest, GenerationConfigGivesEndTokensAndSampling) {
  const auto config = Parse(Dense(), {{"eos_token_id", {476, 474}},
                                      {"do_sample", true},
                                      {"temperature", 0.6},
                                      {"top_k", 20},
                                      {"top_p", 0.95}});
  ASSERT_OK(config);
  EXPECT_THAT(config->eos_token_ids, ElementsAre(476, 474));
  EXPECT_EQ(config->sampling.do_sample, true);
  EXPECT_EQ(config->sampling.temperature, 0.6);
  EXPECT_EQ(config->sampling.top_k, 20);
  EXPECT_EQ(config->sampling.top_p, 0.95);
  EXPECT_FALSE(config->sampling.min_p.has_value());
  EXPECT_FALSE(config->sampling.repetition_penalty.has_value());
}

TEST(ModelConfigTest, WithoutGenerationConfigTheModelsEndTokenHolds) {
  const auto config = ParseModelConfig(Dense().dump(), "");
  ASSERT_OK(config);
  EXPECT_THAT(config->eos_token_ids, ElementsAre(476));
  EXPECT_FALSE(config->sampling.temperature.has_value());
  json endless = Dense();
  endless.erase("eos_token_id");
  EXPECT_THAT(Parse(endless)->eos_token_ids, IsEmpty());
}

struct Refusal {
  json change;
  absl::StatusCode code;
  const char* text;
};

TEST(ModelConfigTest, RefusesWhatItCannotRunByFieldAndValue) {
  const json yarn = {{"rope_type", "yarn"}, {"factor", 4}};
  const Refusal refusals[] = {
      {{{"architectures", {"LlamaForCausalLM"}}}, kUnsupported, "LlamaForCausalLM"},
      {{{"architectures", json::array()}}, kInvalid, "architectures"},
      {{{"hidden_act", "gelu"}}, kUnsupported, "'hidden_act' is \"gelu\""},
      {{{"attention_bias", true}}, kUnsupported, "'attention_bias' is true"},
      {{{"use_sliding_window", true}}, kUnsupported, "'use_sliding_window' is true"},
      {{{"layer_types", {"sliding_attention"}}}, kUnsupported, "layer_types"},
      {{{"partial_rotary_factor", 0.5}}, kUnsupported, "'partial_rotary_factor' is 0.5"},
      {{{"head_dim", 80}}, kUnsupported, "'head_dim' is 80"},
      {{{"hidden_size", 100}}, kUnsupported, "'hidden_size' is 100"},
      {{{"num_key_value_heads", 3}}, kInvalid, "'num_attention_heads' is 4"},
      {{{"vocab_size", 0}}, kInvalid, "'vocab_size' is 0"},
      {{{"vocab_size", "many"}}, kInvalid, "'vocab_size' is \"many\""},
      {{{"vocab_size", 18446744073709551615u}}, kInvalid, "vocab_size"},
      {{{"hidden_size", nullptr}}, kInvalid, "'hidden_size' is missing"},
      {{{"rms_norm_eps", -1}}, kInvalid, "rms_norm_eps"},
      {{{"tie_word_embeddings", 1}}, kInvalid, "want true or false"},
      {{{"eos_token_id", {1, "x"}}}, kInvalid, "eos_token_id"},
      {{{"rope_theta", nullptr}}, kInvalid, "'rope_theta' is missing"},
      {{{"rope_scaling", "yarn"}}, kInvalid, "rope_scaling"},
      {{{"rope_scaling", {{"rope_type", "dynamic"}}}}, kUnsupported, "dynamic"},
      {{{"rope_scaling", {{"rope_type", "yarn"}}}}, kInvalid, "'factor' is missing"},
      {{{"rope_scaling", With(yarn, {{"factor", 0.5}})}}, kInvalid, "'factor' is 0.5"},
      {{{"rope_scaling", With(yarn, {{"mscale", 1}})}}, kUnsupported, "'mscale'"},
      {{{"rope_scaling", yarn}, {"rope_parameters", With(yarn, {{"factor", 2}})}},
       kInvalid,
       "differs"},
      {{{"torch_dtype", "float64"}}, kUnsupported, "'torch_dtype' is \"float64\""},
      {{{"dtype", 16}}, kInvalid, "'dtype' is 16"},
      {{{"qkv_bias", true}}, kUnsupported, "'qkv_bias' is true"},
      {{{"use_qk_norm", false}}, kUnsupported, "'use_qk_norm' is false"},
      {{{"shared_expert_intermediate_size", 512}}, kUnsupported, "is 512"},
      {{{"quantization_config", With(Fp8(), {{"fmt", "e5m2"}})}}, kUnsupported, "e5m2"},
      {{{"quantization_config", With(Fp8(), {{"activation_scheme", "static"}})}},
       kUnsupported,
       "static"},
      {{{"quantization_config", With(Fp8(), {{"weight_block_size", {128}}})}},
       kInvalid,
       "weight_block_size"},
      {{{"quantization_config", With(Fp8(), {{"weight_block_size", nullptr}})}},
       kInvalid,
       "weight_block_size"},
      {{{"quantization_config", With(Fp8(), {{"kv_cache_scheme", "fp8"}})}},
       kUnsupported,
       "kv_cache_scheme"},
  };
  for (const Refusal& refusal : refusals) {
    EXPECT_THAT(Parse(With(Dense(), refusal.change)), StatusIs(refusal.code, refusal.text))
        << refusal.change;
  }
  const Refusal moe_refusals[] = {
      {{{"num_experts", nullptr}}, kInvalid, "num_experts"},
      {{{"num_experts_per_tok", 9}}, kInvalid, "'num_experts_per_tok' is 9"},
      {{{"mlp_only_layers", {3}}}, kInvalid, "mlp_only_layers"},
      {{{"decoder_sparse_step", 0}}, kInvalid, "decoder_sparse_step"},
  };
  for (const Refusal& refusal : moe_refusals) {
    EXPECT_THAT(Parse(With(Moe(), refusal.change)), StatusIs(refusal.code, refusal.text))
        << refusal.change;
  }
}

TEST(ModelConfigTest, RefusesBadGenerationConfig) {
  EXPECT_THAT(Parse(Dense(), {{"temperature", -1}}),
              StatusIs(kInvalid, "generation_config.json: field 'temperature' is -1"));
  EXPECT_THAT(Parse(Dense(), {{"top_k", 1.5}}), StatusIs(kInvalid, "top_k"));
  EXPECT_THAT(ParseModelConfig(Dense().dump(), "[]"), StatusIs(kInvalid, "generation_config"));
}

TEST(ModelConfigTest, RefusesTextThatIsNotAnObject) {
  EXPECT_THAT(ParseModelConfig("{", ""), StatusIs(kInvalid, "not valid JSON"));
  EXPECT_THAT(ParseModelConfig("[]", ""), StatusIs(kInvalid, "not a JSON object"));
  EXPECT_THAT(ParseModelConfig("", ""), StatusIs(kInvalid, "not valid JSON"));
}

TEST(LoadModelConfigTest, ReadsADirectoryWithOrWithoutGenerationConfig) {
  const vallm::testing::TempDir dir;
  EXPECT_THAT(LoadModelConfig(dir.path()), StatusIs(absl::StatusCode::kNotFound, "config.json"));
  vallm::testing::WriteFile(dir / "config.json", Dense().dump());
  EXPECT_THAT(LoadModelConfig(dir.path())->eos_token_ids, ElementsAre(476));
  vallm::testing::WriteFile(dir / "generation_config.json", R"({"eos_token_id": [1, 2]})");
  EXPECT_THAT(LoadModelConfig(dir.path())->eos_token_ids, ElementsAre(1, 2));
}

}  // namespace
}  // namespace vallm::engine
