// Loading: checkpoints that do not fit their configuration are refused by tensor name.
#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "engine_service/device/cpu/cpu_device.h"
#include "engine_service/model/qwen3.h"
#include "gtest/gtest.h"
#include "tests/testing/safetensors_writer.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using ::vallm::testing::StatusIs;
using ::vallm::testing::TempDir;
using ::vallm::testing::TestTensor;
using ::vallm::testing::WriteSafetensors;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

ModelConfig TinyConfig() {
  ModelConfig config;
  config.architecture = "Qwen3ForCausalLM";
  config.vocab_size = 5;
  config.hidden_size = 16;
  config.num_layers = 1;
  config.num_heads = 2;
  config.num_kv_heads = 1;
  config.head_dim = 32;
  config.intermediate_size = 24;
  config.max_position_embeddings = 64;
  config.rms_norm_eps = 1e-6f;
  config.rope_theta = 1e4;
  config.fp8 =
      Fp8Config{.block_rows = 128, .block_cols = 128, .modules_to_not_convert = {"lm_head"}};
  return config;
}

TestTensor Bf16(const std::string& name, std::vector<int64_t> shape) {
  int64_t count = 1;
  for (const int64_t dim : shape) count *= dim;
  std::string bytes;
  for (int64_t i = 0; i < count; ++i) bytes += "\x80\x3f";  // 1.0
  return {name, "BF16", std::move(shape), bytes};
}

std::vector<TestTensor> TinyTensors() {
  const std::string layer = "model.layers.0.";
  return {Bf16("model.embed_tokens.weight", {5, 16}),
          Bf16("lm_head.weight", {5, 16}),
          Bf16("model.norm.weight", {16}),
          Bf16(layer + "input_layernorm.weight", {16}),
          Bf16(layer + "post_attention_layernorm.weight", {16}),
          Bf16(layer + "self_attn.q_proj.weight", {64, 16}),
          Bf16(layer + "self_attn.k_proj.weight", {32, 16}),
          Bf16(layer + "self_attn.v_proj.weight", {32, 16}),
          Bf16(layer + "self_attn.o_proj.weight", {16, 64}),
          Bf16(layer + "self_attn.q_norm.weight", {32}),
          Bf16(layer + "self_attn.k_norm.weight", {32}),
          Bf16(layer + "mlp.gate_proj.weight", {24, 16}),
          Bf16(layer + "mlp.up_proj.weight", {24, 16}),
          Bf16(layer + "mlp.down_proj.weight", {16, 24})};
}

constexpr char kDown[] = "model.layers.0.mlp.down_proj.weight";

TestTensor& Named(std::vector<TestTensor>& tensors, const std::string& name) {
  return *std::find_if(tensors.begin(), tensors.end(),
                       [&](const TestTensor& t) { return t.name == name; });
}

// down_proj in e4m3 with scales of the given dtype.
std::vector<TestTensor> WithFp8Down(const std::string& scale_dtype, const std::string& scale) {
  std::vector<TestTensor> tensors = TinyTensors();
  TestTensor& down = Named(tensors, kDown);
  down.dtype = "F8_E4M3";
  down.bytes.assign(16 * 24, '\x38');     // 1.0
  down.bytes.replace(0, 24, 24, '\x48');  // 4.0 in the first row, so that norms keep the scale
  tensors.push_back({std::string(kDown) + "_scale_inv", scale_dtype, {1, 1}, scale});
  return tensors;
}

class Qwen3LoadTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto device = CreateCpuDevice({});
    ASSERT_OK(device);
    device_ = *std::move(device);
  }

  absl::StatusOr<std::unique_ptr<Qwen3Model>> Load(const std::vector<TestTensor>& tensors,
                                                   const LoadProgress& progress = nullptr) {
    WriteSafetensors(dir_ / "model.safetensors", tensors);
    auto checkpoint = Checkpoint::Open(dir_.path());
    EXPECT_OK(checkpoint);
    return Qwen3Model::Load(config_, **checkpoint, {}, {.max_tokens = 4, .max_logit_rows = 4},
                            *device_, progress);
  }

  // Logits after the single token 1.
  std::vector<float> Logits(Qwen3Model& model) {
    auto cache = KvCache::Create(*device_, config_, {}, 1);
    EXPECT_OK(cache);
    const int32_t token = 1, block = 0;
    const SequenceChunk chunk = {0, 1, 0, 0, 1, 1};
    SingleRank rank;
    std::vector<float> logits(5);
    EXPECT_OK(model.Forward({{&token, 1}, {&chunk, 1}, {&block, 1}}, **cache, rank, logits));
    return logits;
  }

  ModelConfig config_ = TinyConfig();
  const TempDir dir_;
  std::unique_ptr<Device> device_;
};

TEST_F(Qwen3LoadTest, LoadsAndReportsProgressToTheEnd) {
  std::vector<std::pair<int64_t, int64_t>> calls;
  ASSERT_OK(
      Load(TinyTensors(), [&](int64_t done, int64_t total) { calls.emplace_back(done, total); }));
  ASSERT_GE(calls.size(), 3u);
  for (size_t i = 1; i < calls.size(); ++i) EXPECT_GE(calls[i].first, calls[i - 1].first);
  EXPECT_GT(calls.back().second, 0);
  EXPECT_EQ(calls.back().first, calls.back().second);
  EXPECT_LT(calls.front().first, calls.front().second);
}

TEST_F(Qwen3LoadTest, ScalesMayBeF32F16OrBf16) {
  auto f32 = Load(WithFp8Down("F32", std::string("\0\0\x20\x40", 4)));    // 2.5
  auto f16 = Load(WithFp8Down("F16", std::string("\0\x41", 2)));          // 2.5
  auto bf16 = Load(WithFp8Down("BF16", std::string("\x20\x40", 2)));      // 2.5
  auto other = Load(WithFp8Down("F32", std::string("\0\0\x80\x3f", 4)));  // 1.0
  ASSERT_OK(f32);
  ASSERT_OK(f16);
  ASSERT_OK(bf16);
  ASSERT_OK(other);
  EXPECT_EQ(Logits(**f32), Logits(**bf16));
  EXPECT_EQ(Logits(**f32), Logits(**f16));
  EXPECT_NE(Logits(**f32), Logits(**other));
}

TEST_F(Qwen3LoadTest, NormsAndEmbeddingMayBeF16) {
  std::vector<TestTensor> tensors = TinyTensors();
  for (TestTensor& tensor : tensors) {
    if (tensor.name.find("norm") == std::string::npos &&
        tensor.name.find("embed") == std::string::npos)
      continue;
    tensor.dtype = "F16";
    for (size_t i = 0; i < tensor.bytes.size(); i += 2) tensor.bytes.replace(i, 2, "\0\x3c", 2);
  }
  auto f16 = Load(tensors), bf16 = Load(TinyTensors());
  ASSERT_OK(f16);
  ASSERT_OK(bf16);
  EXPECT_EQ(Logits(**f16), Logits(**bf16));
}

TEST_F(Qwen3LoadTest, TheHeadIsTheEmbeddingWhenTied) {
  std::vector<TestTensor> tensors = TinyTensors();
  std::erase_if(tensors, [](const TestTensor& t) { return t.name == "lm_head.weight"; });
  EXPECT_THAT(Load(tensors), StatusIs(absl::StatusCode::kNotFound, "lm_head.weight"));
  config_.tie_word_embeddings = true;
  auto tied = Load(tensors);
  ASSERT_OK(tied);
  config_.tie_word_embeddings = false;
  auto untied = Load(TinyTensors());  // an equal head of its own
  ASSERT_OK(untied);
  EXPECT_EQ(Logits(**tied), Logits(**untied));
}

struct Breakage {
  std::function<void(std::vector<TestTensor>&)> apply;
  absl::StatusCode code;
  const char* text;
};

TEST_F(Qwen3LoadTest, RefusesTensorsThatDoNotFit) {
  const Breakage breakages[] = {
      {[](auto& t) { Named(t, kDown).name = "gone"; }, absl::StatusCode::kNotFound, kDown},
      {[](auto& t) {
         Named(t, kDown) = Bf16(kDown, {24, 16});
       },
       kInvalid, "has shape [24, 16]"},
      {[](auto& t) {
         Named(t, kDown) = {kDown, "F32", {16, 24}, std::string(1536, 'x')};
       },
       kInvalid, "is F32; want BF16, F16 or F8_E4M3"},
      {[](auto& t) { Named(t, "model.norm.weight") = Bf16("model.norm.weight", {15}); }, kInvalid,
       "has shape [15]; want [16]"},
      {[](auto& t) {
         Named(t, "model.norm.weight") = {"model.norm.weight", "I32", {16}, std::string(64, 'x')};
       },
       kInvalid, "is I32; want F32, F16 or BF16"},
      {[](auto& t) { Named(t, "model.norm.weight").bytes.replace(6, 2, "\x80\x7f"); }, kInvalid,
       "'model.norm.weight': value 3 is inf"},
      {[](auto& t) {
         Named(t, "model.embed_tokens.weight") = {
             "model.embed_tokens.weight", "F32", {5, 16}, std::string(320, 'x')};
       },
       kInvalid, "is F32; want BF16 or F16"},
      {[](auto& t) {
         t.push_back({std::string(kDown) + "_scale_inv", "F32", {1, 1}, "xxxx"});
       },
       kInvalid, "is BF16 but has scales"},
      {[](auto& t) {
         t = WithFp8Down("F32", "xxxx");
         t.pop_back();
       },
       absl::StatusCode::kNotFound, "down_proj.weight_scale_inv"},
      {[](auto& t) {
         t = WithFp8Down("F32", "xxxx");
         t.back() = {t.back().name, "F32", {2, 1}, "xxxxxxxx"};
       },
       kInvalid, "has shape [2, 1]; want [1, 1]"},
      {[](auto& t) {
         t = WithFp8Down("F32", "xxxx");
         t.back() = {t.back().name, "I32", {1, 1}, "xxxx"};
       },
       kInvalid, "is I32; want F32, F16 or BF16"},
      {[](auto& t) {
         t = WithFp8Down("F32", "xxxx");
         Named(t, kDown).bytes[7] = '\x7f';
       },
       kInvalid, "NaN"},
      {[](auto& t) {
         Named(t, "lm_head.weight") = {"lm_head.weight", "F8_E4M3", {5, 16}, std::string(80, '8')};
       },
       kInvalid, "modules_to_not_convert lists 'lm_head'"},
  };
  for (const Breakage& breakage : breakages) {
    std::vector<TestTensor> tensors = TinyTensors();
    breakage.apply(tensors);
    EXPECT_THAT(Load(tensors), StatusIs(breakage.code, breakage.text));
  }
  config_.fp8.reset();
  EXPECT_THAT(Load(WithFp8Down("F32", "xxxx")),
              StatusIs(kInvalid, "config.json says nothing of FP8"));
}

TEST_F(Qwen3LoadTest, RefusesLimitsBelowOne) {
  WriteSafetensors(dir_ / "model.safetensors", TinyTensors());
  auto checkpoint = Checkpoint::Open(dir_.path());
  ASSERT_OK(checkpoint);
  for (const StepLimits limits : {StepLimits{0, 1}, StepLimits{1, 0}, StepLimits{-5, 1}}) {
    EXPECT_THAT(Qwen3Model::Load(config_, **checkpoint, {}, limits, *device_, nullptr),
                StatusIs(kInvalid, "step limits"));
  }
}

TEST_F(Qwen3LoadTest, AStepThatBreaksItsPromisesStopsTheProcess) {
  auto model = Load(TinyTensors());
  ASSERT_OK(model);
  auto cache = KvCache::Create(*device_, config_, {}, 1);
  ASSERT_OK(cache);
  SingleRank rank;
  std::vector<float> logits(5);
  const auto forward = [&](int32_t token, int32_t block, SequenceChunk chunk) {
    (void)(*model)->Forward({{&token, 1}, {&chunk, 1}, {&block, 1}}, **cache, rank, logits);
  };
  const SequenceChunk good = {0, 1, 0, 0, 1, 1};
  forward(4, 0, good);
  EXPECT_DEATH(forward(5, 0, good), "Check failed");
  EXPECT_DEATH(forward(1, 1, good), "no such kv block");
  EXPECT_DEATH(forward(1, 0, {0, 1, 16, 0, 1, 1}), "block table is too short");
  EXPECT_DEATH(forward(1, 0, {0, 1, 0, 0, 1, 0}), "Check failed");  // logits of the wrong size
}

}  // namespace
}  // namespace vallm::engine
