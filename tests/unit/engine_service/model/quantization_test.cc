#include <nlohmann/json.hpp>
#include <string>

#include "engine_service/model/config.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::vallm::testing::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kUnsupported = absl::StatusCode::kUnimplemented;

json With(json object, const json& changes) {
  object.update(changes);
  return object;
}

absl::StatusOr<ModelConfig> Parse(const json& quantization) {
  const json config = {{"architectures", {"Qwen3ForCausalLM"}},
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
                       {"torch_dtype", "float16"},
                       {"quantization_config", quantization}};
  return ParseModelConfig(config.dump(), "");
}

json Fp8() {
  return {{"quant_method", "fp8"},
          {"fmt", "e4m3"},
          {"activation_scheme", "dynamic"},
          {"weight_block_size", {128, 128}}};
}

// As Qwen3-30B-A3B-GPTQ-Int4 has it.
json Gptq() {
  return {{"quant_method", "gptq"},
          {"bits", 4},
          {"group_size", 128},
          {"desc_act", false},
          {"sym", true},
          {"lm_head", false},
          {"checkpoint_format", "gptq"},
          {"pack_dtype", "int32"},
          {"meta", {{"quantizer", {"gptqmodel:2.2.0"}}, {"damp_percent", 0.01}}}};
}

// As Qwen3-8B-AWQ has it.
json Awq() {
  return {{"quant_method", "awq"},
          {"backend", "autoawq"},
          {"bits", 4},
          {"do_fuse", false},
          {"group_size", 128},
          {"modules_to_not_convert", nullptr},
          {"exllama_config", nullptr},
          {"version", "gemm"},
          {"zero_point", true},
          {"fuse_max_seq_len", nullptr},
          {"modules_to_fuse", nullptr}};
}

TEST(QuantizationTest, ReadsGptq) {
  const auto config = Parse(Gptq());
  ASSERT_OK(config);
  EXPECT_EQ(config->dtype, "float16");
  EXPECT_FALSE(config->fp8.has_value());
  ASSERT_TRUE(config->integer.has_value());
  EXPECT_EQ(config->integer->format, IntegerFormat::kGptq);
  EXPECT_EQ(config->integer->bits, 4);
  EXPECT_EQ(config->integer->group_size, 128);
}

TEST(QuantizationTest, ReadsGptqVariants) {
  for (const int group : {32, 64, 128}) {
    EXPECT_EQ(Parse(With(Gptq(), {{"group_size", group}}))->integer->group_size, group);
  }
  EXPECT_EQ(Parse(With(Gptq(), {{"group_size", -1}}))->integer->group_size, 0);
  EXPECT_EQ(Parse(With(Gptq(), {{"bits", 8}}))->integer->bits, 8);
  EXPECT_OK(Parse(With(Gptq(), {{"sym", false}})));
  EXPECT_OK(Parse(With(Gptq(), {{"lm_head", true}})));
  const auto format = [](const json& changes) {
    return Parse(With(Gptq(), changes))->integer->format;
  };
  EXPECT_EQ(format({{"checkpoint_format", "gptq_v2"}}), IntegerFormat::kGptqV2);
  EXPECT_EQ(format({{"checkpoint_format", nullptr}}), IntegerFormat::kGptq);
  EXPECT_EQ(format({{"checkpoint_format", nullptr}, {"format", "gptq_v2"}}),
            IntegerFormat::kGptqV2);
  EXPECT_OK(Parse(With(Gptq(), {{"dynamic", {{"-:.*mlp\\.gate$", json::object()}}}})));
}

TEST(QuantizationTest, ReadsAwq) {
  const auto config = Parse(Awq());
  ASSERT_OK(config);
  ASSERT_TRUE(config->integer.has_value());
  EXPECT_EQ(config->integer->format, IntegerFormat::kAwq);
  EXPECT_EQ(config->integer->bits, 4);
  EXPECT_EQ(config->integer->group_size, 128);
  EXPECT_TRUE(config->integer->zero_point);
  const auto other = Parse(
      With(Awq(),
           {{"version", "GEMM"}, {"zero_point", false}, {"modules_to_not_convert", {"mlp.gate"}}}));
  ASSERT_OK(other);
  EXPECT_FALSE(other->integer->zero_point);
  EXPECT_THAT(other->integer->modules_to_not_convert, ElementsAre("mlp.gate"));
}

TEST(QuantizationTest, ReadsFp8Variants) {
  const auto blocks =
      Parse(With(Fp8(), {{"weight_block_size", {64, 32}}, {"fmt", "float8_e4m3fn"}}));
  ASSERT_OK(blocks);
  EXPECT_EQ(blocks->fp8->block_rows, 64);
  EXPECT_EQ(blocks->fp8->block_cols, 32);
  EXPECT_THAT(Parse(With(Fp8(), {{"ignored_layers", {"lm_head"}}}))->fp8->modules_to_not_convert,
              ElementsAre("lm_head"));
}

TEST(QuantizationTest, RefusesByFieldAndValue) {
  const struct {
    json quantization;
    absl::StatusCode code;
    const char* text;
  } refusals[] = {
      {"fp8", kInvalid, "quantization_config"},
      {json::object(), kInvalid, "'quant_method' is missing"},
      {{{"quant_method", "compressed-tensors"}}, kUnsupported, "only fp8, gptq and awq"},
      {{{"quant_method", "bitsandbytes"}}, kUnsupported, "bitsandbytes"},
      {With(Fp8(), {{"weight_block_size", nullptr}}), kInvalid, "'weight_block_size' is missing"},
      {With(Fp8(), {{"weight_block_size", {0, 128}}}), kInvalid, "weight_block_size"},
      {With(Fp8(), {{"activation_scheme", "static"}}), kUnsupported, "only dynamic is supported"},
      {With(Gptq(), {{"bits", 3}}), kUnsupported, "'bits' is 3: only 4 and 8 are supported"},
      {With(Gptq(), {{"bits", nullptr}}), kInvalid, "'bits' is missing"},
      {With(Gptq(), {{"bits", "4"}}), kInvalid, "'bits' is \"4\""},
      {With(Gptq(), {{"desc_act", true}}), kUnsupported, "'desc_act' is true"},
      {With(Gptq(), {{"group_size", 0}}), kUnsupported, "'group_size' is 0"},
      {With(Gptq(), {{"group_size", 100}}), kUnsupported, "'group_size' is 100"},
      {With(Gptq(), {{"group_size", -2}}), kInvalid, "'group_size' is -2"},
      {With(Gptq(), {{"sym", 1}}), kInvalid, "want true or false"},
      {With(Gptq(), {{"checkpoint_format", "marlin"}}), kUnsupported,
       "'checkpoint_format' is \"marlin\": only gptq and gptq_v2 are supported"},
      {With(Gptq(), {{"is_marlin_format", true}}), kUnsupported, "is_marlin_format"},
      {With(Gptq(), {{"pack_dtype", "int8"}}), kUnsupported, "only int32 is supported"},
      {With(Gptq(), {{"dynamic", {{"+:.*down.*", {{"bits", 8}}}}}}), kUnsupported, "'dynamic'"},
      {With(Gptq(), {{"dynamic", {{".*down.*", {{"group_size", 32}}}}}}), kUnsupported,
       "'dynamic'"},
      {With(Gptq(), {{"dynamic", "none"}}), kInvalid, "'dynamic'"},
      {With(Gptq(), {{"rotation", "hadamard"}}), kUnsupported, "'rotation' is \"hadamard\""},
      {With(Gptq(), {{"adapter", {{"rank", 64}}}}), kUnsupported, "'adapter'"},
      {With(Awq(), {{"bits", 8}}), kUnsupported, "'bits' is 8: only 4 is supported"},
      {With(Awq(), {{"version", "gemv"}}), kUnsupported, "'version' is \"gemv\""},
      {With(Awq(), {{"zero_point", "yes"}}), kInvalid, "zero_point"},
      {With(Awq(), {{"modules_to_not_convert", "lm_head"}}), kInvalid, "modules_to_not_convert"},
      {With(Awq(), {{"kv_bits", 8}}), kUnsupported, "'kv_bits'"},
  };
  for (const auto& refusal : refusals) {
    EXPECT_THAT(Parse(refusal.quantization), StatusIs(refusal.code, refusal.text))
        << refusal.quantization;
  }
}

}  // namespace
}  // namespace vallm::engine
