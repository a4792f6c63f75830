// The config.json of every Qwen3 text release, as published with its model card at
// huggingface.co/Qwen, is understood and can be cut at every tensor-parallel size that divides its
// heads. Fields that no release changes are written once.
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine_service/model/config.h"
#include "engine_service/model/sharding.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using nlohmann::json;
using ::vallm::testing::StatusIs;

enum class Quantization { kNone, kFp8, kGptqInt4, kGptqInt8, kAwq };

struct Release {
  const char* name;
  int hidden, layers, heads, kv_heads;
  int intermediate;
  int experts, moe_intermediate;  // 0: dense
  int max_positions;
  double rope_theta;
  bool tied;
  Quantization quantization = Quantization::kNone;
  double parameters_billion = 0;  // of the model card
};

using enum Quantization;
constexpr Release kReleases[] = {
    {"Qwen3-0.6B", 1024, 28, 16, 8, 3072, 0, 0, 40960, 1e6, true, kNone, 0.6},
    {"Qwen3-0.6B-FP8", 1024, 28, 16, 8, 3072, 0, 0, 40960, 1e6, true, kFp8, 0.6},
    {"Qwen3-0.6B-GPTQ-Int8", 1024, 28, 16, 8, 3072, 0, 0, 40960, 1e6, true, kGptqInt8, 0.6},
    {"Qwen3-0.6B-Base", 1024, 28, 16, 8, 3072, 0, 0, 32768, 1e6, true, kNone, 0.6},
    {"Qwen3-1.7B", 2048, 28, 16, 8, 6144, 0, 0, 40960, 1e6, true, kNone, 1.7},
    {"Qwen3-1.7B-FP8", 2048, 28, 16, 8, 6144, 0, 0, 40960, 1e6, true, kFp8, 1.7},
    {"Qwen3-1.7B-GPTQ-Int8", 2048, 28, 16, 8, 6144, 0, 0, 40960, 1e6, true, kGptqInt8, 1.7},
    {"Qwen3-4B", 2560, 36, 32, 8, 9728, 0, 0, 40960, 1e6, true, kNone, 4.0},
    {"Qwen3-4B-FP8", 2560, 36, 32, 8, 9728, 0, 0, 40960, 1e6, true, kFp8, 4.0},
    {"Qwen3-4B-AWQ", 2560, 36, 32, 8, 9728, 0, 0, 40960, 1e6, true, kAwq, 4.0},
    {"Qwen3-4B-Instruct-2507", 2560, 36, 32, 8, 9728, 0, 0, 262144, 5e6, true, kNone, 4.0},
    {"Qwen3-4B-Thinking-2507", 2560, 36, 32, 8, 9728, 0, 0, 262144, 5e6, true, kNone, 4.0},
    {"Qwen3-8B", 4096, 36, 32, 8, 12288, 0, 0, 40960, 1e6, false, kNone, 8.2},
    {"Qwen3-8B-FP8", 4096, 36, 32, 8, 12288, 0, 0, 40960, 1e6, false, kFp8, 8.2},
    {"Qwen3-8B-AWQ", 4096, 36, 32, 8, 12288, 0, 0, 40960, 1e6, false, kAwq, 8.2},
    {"Qwen3-14B", 5120, 40, 40, 8, 17408, 0, 0, 40960, 1e6, false, kNone, 14.8},
    {"Qwen3-14B-FP8", 5120, 40, 40, 8, 17408, 0, 0, 40960, 1e6, false, kFp8, 14.8},
    {"Qwen3-14B-AWQ", 5120, 40, 40, 8, 17408, 0, 0, 40960, 1e6, false, kAwq, 14.8},
    {"Qwen3-32B", 5120, 64, 64, 8, 25600, 0, 0, 40960, 1e6, false, kNone, 32.8},
    {"Qwen3-32B-FP8", 5120, 64, 64, 8, 25600, 0, 0, 40960, 1e6, false, kFp8, 32.8},
    {"Qwen3-32B-AWQ", 5120, 64, 64, 8, 25600, 0, 0, 40960, 1e6, false, kAwq, 32.8},
    {"Qwen3-30B-A3B", 2048, 48, 32, 4, 6144, 128, 768, 40960, 1e6, false, kNone, 30.5},
    {"Qwen3-30B-A3B-FP8", 2048, 48, 32, 4, 6144, 128, 768, 40960, 1e6, false, kFp8, 30.5},
    {"Qwen3-30B-A3B-GPTQ-Int4", 2048, 48, 32, 4, 6144, 128, 768, 40960, 1e6, false, kGptqInt4,
     30.5},
    {"Qwen3-30B-A3B-Instruct-2507", 2048, 48, 32, 4, 6144, 128, 768, 262144, 1e7, false, kNone,
     30.5},
    {"Qwen3-30B-A3B-Thinking-2507-FP8", 2048, 48, 32, 4, 6144, 128, 768, 262144, 1e7, false, kFp8,
     30.5},
    {"Qwen3-Coder-30B-A3B-Instruct", 2048, 48, 32, 4, 5472, 128, 768, 262144, 1e7, false, kNone,
     30.5},
    {"Qwen3-Coder-30B-A3B-Instruct-FP8", 2048, 48, 32, 4, 5472, 128, 768, 262144, 1e7, false, kFp8,
     30.5},
    {"Qwen3-235B-A22B", 4096, 94, 64, 4, 12288, 128, 1536, 40960, 1e6, false, kNone, 235},
    {"Qwen3-235B-A22B-FP8", 4096, 94, 64, 4, 12288, 128, 1536, 40960, 1e6, false, kFp8, 235},
    {"Qwen3-235B-A22B-GPTQ-Int4", 4096, 94, 64, 4, 12288, 128, 1536, 40960, 1e6, false, kGptqInt4,
     235},
    {"Qwen3-235B-A22B-Thinking-2507-FP8", 4096, 94, 64, 4, 12288, 128, 1536, 262144, 5e6, false,
     kFp8, 235},
    {"Qwen3-Coder-480B-A35B-Instruct", 6144, 62, 96, 8, 8192, 160, 2560, 262144, 1e7, false, kNone,
     480},
    {"Qwen3-Coder-480B-A35B-Instruct-FP8", 6144, 62, 96, 8, 8192, 160, 2560, 262144, 1e7, false,
     kFp8, 480},
};

json QuantizationConfig(const Release& release) {
  switch (release.quantization) {
    case kNone:
      return nullptr;
    case kFp8: {
      json unconverted = {"lm_head"};
      for (int i = 0; i < release.layers; ++i) {
        const std::string layer = absl::StrCat("model.layers.", i, ".");
        unconverted.push_back(layer + "input_layernorm");
        unconverted.push_back(layer + "post_attention_layernorm");
        if (release.experts > 0) unconverted.push_back(layer + "mlp.gate");
      }
      return {{"activation_scheme", "dynamic"},
              {"fmt", "e4m3"},
              {"quant_method", "fp8"},
              {"modules_to_not_convert", unconverted},
              {"weight_block_size", {128, 128}}};
    }
    case kGptqInt4:
    case kGptqInt8:
      return {{"bits", release.quantization == kGptqInt4 ? 4 : 8},
              {"checkpoint_format", "gptq"},
              {"desc_act", false},
              {"group_size", 128},
              {"lm_head", false},
              {"meta", {{"damp_percent", 0.01}, {"quantizer", {"gptqmodel:2.2.0"}}}},
              {"pack_dtype", "int32"},
              {"quant_method", "gptq"},
              {"sym", true}};
    case kAwq:
      return {{"backend", "autoawq"},
              {"bits", 4},
              {"do_fuse", false},
              {"exllama_config", nullptr},
              {"fuse_max_seq_len", nullptr},
              {"group_size", 128},
              {"modules_to_fuse", nullptr},
              {"modules_to_not_convert", nullptr},
              {"quant_method", "awq"},
              {"version", "gemm"},
              {"zero_point", true}};
  }
  return nullptr;
}

std::string ConfigJson(const Release& release) {
  const bool moe = release.experts > 0;
  json config = {{"architectures", {moe ? "Qwen3MoeForCausalLM" : "Qwen3ForCausalLM"}},
                 {"attention_bias", false},
                 {"attention_dropout", 0.0},
                 {"bos_token_id", 151643},
                 {"eos_token_id", 151645},
                 {"head_dim", 128},
                 {"hidden_act", "silu"},
                 {"hidden_size", release.hidden},
                 {"initializer_range", 0.02},
                 {"intermediate_size", release.intermediate},
                 {"max_position_embeddings", release.max_positions},
                 {"max_window_layers", release.layers},
                 {"model_type", moe ? "qwen3_moe" : "qwen3"},
                 {"num_attention_heads", release.heads},
                 {"num_hidden_layers", release.layers},
                 {"num_key_value_heads", release.kv_heads},
                 {"rms_norm_eps", 1e-6},
                 {"rope_scaling", nullptr},
                 {"rope_theta", release.rope_theta},
                 {"sliding_window", nullptr},
                 {"tie_word_embeddings", release.tied},
                 {"torch_dtype", "bfloat16"},
                 {"transformers_version", "4.51.0"},
                 {"use_cache", true},
                 {"use_sliding_window", false},
                 {"vocab_size", 151936}};
  if (moe) {
    config.update({{"decoder_sparse_step", 1},
                   {"mlp_only_layers", json::array()},
                   {"moe_intermediate_size", release.moe_intermediate},
                   {"norm_topk_prob", true},
                   {"num_experts", release.experts},
                   {"num_experts_per_tok", 8},
                   {"output_router_logits", false},
                   {"router_aux_loss_coef", 0.001}});
  }
  if (std::string(release.name).find("Coder") != std::string::npos) {
    config.update(
        {{"qkv_bias", false}, {"shared_expert_intermediate_size", 0}, {"use_qk_norm", true}});
  }
  if (release.quantization != kNone) config["quantization_config"] = QuantizationConfig(release);
  return config.dump();
}

// Parameters of a model of these dimensions.
double Parameters(const ModelConfig& c) {
  const double hidden = c.hidden_size, q = double{1} * c.num_heads * c.head_dim,
               kv = double{1} * c.num_kv_heads * c.head_dim;
  double mlp = 3 * hidden * c.intermediate_size;
  if (c.moe.has_value()) {
    mlp = c.moe->num_experts * (3 * hidden * c.moe->intermediate_size + hidden);
  }
  const double layer = hidden * (2 * q + 2 * kv) + mlp + 2 * hidden + 2 * c.head_dim;
  return c.num_layers * layer + (c.tie_word_embeddings ? 1 : 2) * hidden * c.vocab_size + hidden;
}

class Qwen3Release : public ::testing::TestWithParam<Release> {};

TEST_P(Qwen3Release, IsUnderstood) {
  const Release& release = GetParam();
  const auto config = ParseModelConfig(ConfigJson(release), "");
  ASSERT_OK(config);
  EXPECT_EQ(config->num_layers, release.layers);
  EXPECT_EQ(config->moe.has_value(), release.experts > 0);
  EXPECT_EQ(config->fp8.has_value(), release.quantization == kFp8);
  EXPECT_EQ(config->integer.has_value(),
            release.quantization != kNone && release.quantization != kFp8);
  // The dimensions are right if they make the number of parameters that the model card gives.
  EXPECT_NEAR(Parameters(*config) / 1e9, release.parameters_billion,
              0.012 * release.parameters_billion + 0.05);
}

// Every feature is on exactly one rank, and every KV head on the ranks whose query heads read it.
TEST_P(Qwen3Release, CanBeCut) {
  const auto config = ParseModelConfig(ConfigJson(GetParam()), "");
  ASSERT_OK(config);
  for (const int32_t size : {1, 2, 4, 8, 16}) {
    SCOPED_TRACE(size);
    if (config->num_heads % size != 0) {
      EXPECT_THAT(MakeShard(*config, {.rank = 0, .size = size}),
                  StatusIs(absl::StatusCode::kInvalidArgument,
                           absl::StrCat(config->num_heads,
                                        " attention heads, which tensor "
                                        "parallel size ",
                                        size, " does not divide")));
      continue;
    }
    Range dense, moe, vocab, q;
    for (int32_t rank = 0; rank < size; ++rank) {
      const auto shard = MakeShard(*config, {.rank = rank, .size = size});
      ASSERT_OK(shard);
      const auto follows = [](const Range& next, Range& all) {
        EXPECT_EQ(next.begin, all.end);
        all.end = next.end;
      };
      follows(shard->q_rows, q);
      follows(shard->dense_rows, dense);
      follows(shard->moe_rows, moe);
      follows(shard->vocab, vocab);
      const int64_t group = config->num_heads / config->num_kv_heads;
      EXPECT_EQ(shard->kv_rows.begin / 128, shard->q_rows.begin / 128 / group);
      EXPECT_EQ(shard->kv_rows.end / 128, (shard->q_rows.end / 128 - 1) / group + 1);
      EXPECT_EQ(shard->k_groups, size == 16 ? 1 : 8 / size);
    }
    EXPECT_EQ(q.end, config->num_heads * 128);
    EXPECT_EQ(dense.end, config->intermediate_size);
    EXPECT_EQ(moe.end, GetParam().moe_intermediate);
    EXPECT_EQ(vocab.end, 151936);
  }
}

INSTANTIATE_TEST_SUITE_P(All, Qwen3Release, ::testing::ValuesIn(kReleases), [](const auto& param) {
  std::string name = param.param.name;
  for (char& c : name) {
    if (c == '-' || c == '.') c = '_';
  }
  return name;
});

// What vLLM refuses to load: at TP 4 a rank has 192 of 768 features, at TP 8 96, of blocks of 128.
TEST(Qwen3ReleaseTest, ExpertShardsOfTheA3bMayBeNarrowerThanABlock) {
  for (const Release& release : kReleases) {
    if (release.moe_intermediate != 768) continue;
    const auto config = ParseModelConfig(ConfigJson(release), "");
    ASSERT_OK(config);
    EXPECT_EQ(MakeShard(*config, {.rank = 3, .size = 4})->moe_rows, (Range{576, 768}));
    EXPECT_EQ(MakeShard(*config, {.rank = 5, .size = 8})->moe_rows, (Range{480, 576}));
    EXPECT_EQ(MakeShard(*config, {.rank = 15, .size = 16})->moe_rows, (Range{720, 768}));
  }
}

TEST(Qwen3ReleaseTest, OtherFamiliesAreRefusedByArchitecture) {
  for (const char* name : {"Qwen3NextForCausalLM", "Qwen3VLForConditionalGeneration",
                           "Qwen3OmniMoeForConditionalGeneration", "Qwen2ForCausalLM"}) {
    json config = json::parse(ConfigJson(kReleases[0]));
    config["architectures"] = {name};
    EXPECT_THAT(ParseModelConfig(config.dump(), ""),
                StatusIs(absl::StatusCode::kUnimplemented, name));
  }
}

}  // namespace
}  // namespace vallm::engine
