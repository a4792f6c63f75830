#include "tools/make_model/make_model.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "engine_service/model/checkpoint.h"
#include "engine_service/model/config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/model_group.h"
#include "tests/testing/safetensors_writer.h"
#include "tests/testing/status_matchers.h"
#include "tokenizer_service/bpe/tokenizer.h"
#include "tools/make_model/checkpoint_writer.h"
#include "tools/make_model/random_tokenizer.h"

namespace vallm::tools {
namespace {

using ::testing::Contains;
using ::testing::IsSupersetOf;
using ::testing::Key;
using ::testing::Not;
using testing::StatusIs;
using testing::TempDir;

std::string Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

// 30B-A3B with every dimension small; widths that blocks of 128 do not divide.
Architecture Tiny(const std::string& like) {
  Architecture tiny = *FindRelease(like);
  tiny.hidden_size = 192;
  tiny.num_layers = 2;
  tiny.num_heads = 4;
  tiny.num_kv_heads = 2;
  tiny.head_dim = 32;
  tiny.intermediate_size = 160;
  tiny.vocab_size = 640;
  if (tiny.moe()) {
    tiny.num_experts = 6;
    tiny.experts_per_token = 2;
    tiny.moe_intermediate_size = 96;
  }
  return tiny;
}

MakeModelOptions TinyOptions(const std::string& dir, const std::string& like) {
  return {.out_dir = dir, .architecture = Tiny(like), .seed = 7, .threads = 2};
}

TEST(Architecture, NamesOfReleasesAreUniqueAndFound) {
  std::set<std::string> names;
  for (const Architecture& release : Releases()) {
    EXPECT_TRUE(names.insert(release.name).second) << release.name;
    EXPECT_EQ(FindRelease(release.name)->name, release.name);
  }
  EXPECT_EQ(FindRelease("Qwen/qwen3-30b-a3b-fp8")->name, "Qwen3-30B-A3B-FP8");
  const auto unknown = FindRelease("Qwen3-30B-A3C");
  EXPECT_THAT(unknown, StatusIs(absl::StatusCode::kNotFound, "Qwen3-30B-A3B"));
}

// Parameters by the model cards; embeddings of tied models count once.
TEST(PlanTensors, HasTheReleasesNumberOfParameters) {
  const std::map<std::string, double> billions = {
      {"Qwen3-0.6B", 0.596},        {"Qwen3-1.7B", 1.721},
      {"Qwen3-4B", 4.022},          {"Qwen3-8B", 8.191},
      {"Qwen3-14B", 14.768},        {"Qwen3-32B", 32.762},
      {"Qwen3-30B-A3B", 30.53},     {"Qwen3-235B-A22B", 235.09},
      {"Qwen3-30B-A3B-FP8", 30.53}, {"Qwen3-30B-A3B-GPTQ-Int4", 30.53},
      {"Qwen3-8B-AWQ", 8.191}};
  for (const auto& [name, wanted] : billions) {
    int64_t elements = 0;
    for (const TensorSpec& tensor : PlanTensors(*FindRelease(name))) {
      elements += tensor.parameters;
    }
    EXPECT_NEAR(static_cast<double>(elements) / 1e9, wanted, wanted * 1e-3) << name;
  }
}

TEST(PlanTensors, NamesAndShapesAreTheReleases) {
  std::map<std::string, TensorSpec> tensors;
  for (const TensorSpec& tensor : PlanTensors(*FindRelease("Qwen3-30B-A3B-FP8"))) {
    EXPECT_TRUE(tensors.emplace(tensor.name, tensor).second) << tensor.name;
  }
  const auto expect = [&](const std::string& name, TensorType type, std::vector<int64_t> shape) {
    ASSERT_THAT(tensors, Contains(Key(name)));
    EXPECT_EQ(tensors[name].type, type) << name;
    EXPECT_EQ(tensors[name].shape, shape) << name;
  };
  expect("model.embed_tokens.weight", TensorType::kBf16, {151936, 2048});
  expect("lm_head.weight", TensorType::kBf16, {151936, 2048});
  expect("model.layers.47.self_attn.q_proj.weight", TensorType::kF8E4m3, {4096, 2048});
  expect("model.layers.47.self_attn.q_proj.weight_scale_inv", TensorType::kBf16, {32, 16});
  expect("model.layers.0.self_attn.k_proj.weight", TensorType::kF8E4m3, {512, 2048});
  expect("model.layers.0.self_attn.o_proj.weight", TensorType::kF8E4m3, {2048, 4096});
  expect("model.layers.0.self_attn.q_norm.weight", TensorType::kBf16, {128});
  expect("model.layers.0.mlp.gate.weight", TensorType::kBf16, {128, 2048});
  expect("model.layers.0.mlp.experts.127.down_proj.weight", TensorType::kF8E4m3, {2048, 768});
  expect("model.layers.0.mlp.experts.127.down_proj.weight_scale_inv", TensorType::kBf16, {16, 6});
  EXPECT_THAT(tensors, Not(Contains(Key("model.layers.0.mlp.gate.weight_scale_inv"))));
  EXPECT_THAT(UnquantizedModules(*FindRelease("Qwen3-30B-A3B-FP8")),
              IsSupersetOf({"lm_head", "model.layers.0.mlp.gate",
                            "model.layers.47.post_attention_layernorm"}));
}

TEST(EncodeValue, RoundsToNearestAndSaturates) {
  const auto e4m3 = [](double value) { return EncodeValue(TensorType::kF8E4m3, value); };
  EXPECT_EQ(e4m3(0), 0x00u);
  EXPECT_EQ(e4m3(1), 0x38u);
  EXPECT_EQ(e4m3(-1.125), 0xB9u);
  EXPECT_EQ(e4m3(1.0625), 0x38u);  // a tie goes to the even code
  EXPECT_EQ(e4m3(1.1875), 0x3Au);
  EXPECT_EQ(e4m3(1.99), 0x40u);  // carries into the exponent
  EXPECT_EQ(e4m3(std::ldexp(1, -9)), 0x01u);
  EXPECT_EQ(e4m3(std::ldexp(7, -9)), 0x07u);
  EXPECT_EQ(e4m3(std::ldexp(7.6, -9)), 0x08u);  // the largest subnormal rounds up to normal
  EXPECT_EQ(e4m3(448), 0x7Eu);
  EXPECT_EQ(e4m3(1e9), 0x7Eu);
  EXPECT_EQ(EncodeValue(TensorType::kBf16, 1), 0x3F80u);
  EXPECT_EQ(EncodeValue(TensorType::kBf16, -3.140625), 0xC049u);
}

TEST(ValueTable, IsNormalAndDependsOnKeyAndIndexAlone) {
  const ValueTable table(TensorType::kBf16, {.center = 1, .spread = 0.5});
  std::vector<uint16_t> whole(1 << 16);
  table.Fill(/*key=*/9, 0, std::as_writable_bytes(std::span(whole)));
  double sum = 0;
  double squares = 0;
  for (const uint16_t code : whole) {
    const double value = std::bit_cast<float>(uint32_t{code} << 16);
    sum += value;
    squares += (value - 1) * (value - 1);
  }
  const auto count = static_cast<double>(whole.size());
  EXPECT_NEAR(sum / count, 1, 0.01);
  EXPECT_NEAR(std::sqrt(squares / count), 0.5, 0.01);

  std::vector<uint16_t> part(101);
  table.Fill(/*key=*/9, 400, std::as_writable_bytes(std::span(part)));
  EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + 400));
  table.Fill(/*key=*/10, 400, std::as_writable_bytes(std::span(part)));
  EXPECT_FALSE(std::equal(part.begin(), part.end(), whole.begin() + 400));
}

TEST(ValueTable, FillsWords) {
  const auto words = [](const Distribution& distribution, int64_t first) {
    std::vector<uint32_t> out(4);
    ValueTable(TensorType::kI32, distribution)
        .Fill(/*key=*/3, first, std::as_writable_bytes(std::span(out)));
    return out;
  };
  using Shape = Distribution::Shape;
  EXPECT_THAT(words({.shape = Shape::kBits, .base = 0x77777777}, 8), ::testing::Each(0x77777777u));
  EXPECT_THAT(words({.shape = Shape::kGroupIndex, .base = 6}, 4),
              ::testing::ElementsAre(0u, 0u, 1u, 1u));
  const auto bits = words({.shape = Shape::kBits, .mask = 0xFFFFFFFF}, 0);
  EXPECT_EQ(std::set(bits.begin(), bits.end()).size(), 4u);
  for (const uint32_t word : words({.shape = Shape::kBits, .base = 0x70, .mask = 0x11}, 0)) {
    EXPECT_EQ((word - 0x70) & ~0x11u, 0u);
  }
}

TEST(EncodeValue, KnowsHalves) {
  EXPECT_EQ(EncodeValue(TensorType::kF16, 1), 0x3C00u);
  EXPECT_EQ(EncodeValue(TensorType::kF16, -65504), 0xFBFFu);
  EXPECT_EQ(EncodeValue(TensorType::kF16, std::ldexp(1, -24)), 1u);
}

TEST(CutIntoFiles, NamesFilesAsTransformersDoes) {
  const Architecture tiny = Tiny("Qwen3-30B-A3B-FP8");
  const auto one = CutIntoFiles(PlanTensors(tiny), int64_t{1} << 40);
  ASSERT_EQ(one.size(), 1u);
  EXPECT_EQ(one[0].name, "model.safetensors");
  const auto many = CutIntoFiles(PlanTensors(tiny), 300 << 10);
  ASSERT_GE(many.size(), 3u);
  EXPECT_EQ(many[1].name, "model-00002-of-0000" + std::to_string(many.size()) + ".safetensors");
  for (const CheckpointFile& file : many) EXPECT_LE(file.bytes, 300 << 10);
}

TEST(MakeTokenizerFiles, IsCompleteAndHasQwensIdsAtQwensSize) {
  const auto files = MakeTokenizerFiles(151936, 40960);
  ASSERT_OK(files);
  const auto tokenizer = tokenizer::Tokenizer::FromJson((*files)[0].second);
  ASSERT_OK(tokenizer);
  EXPECT_EQ((*tokenizer)->TokenId("<|endoftext|>"), 151643);
  EXPECT_EQ((*tokenizer)->TokenId("<|im_end|>"), 151645);
  EXPECT_EQ((*tokenizer)->TokenId("</think>"), 151668);
  const std::string text = "Hello, world!\n\tnaïve 你好 🙂 <think>";
  const auto ids = (*tokenizer)->Encode(text);
  ASSERT_OK(ids);
  std::string bytes;
  for (const int32_t id : *ids) bytes += (*tokenizer)->TokenBytes(id);
  EXPECT_EQ(bytes, text);
  EXPECT_LT(ids->size(), text.size());  // merges are used
  EXPECT_THAT(MakeTokenizerFiles(281, 4096).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, "282"));
  EXPECT_OK(MakeTokenizerFiles(282, 4096));
}

TEST(MakeModel, BytesDependOnSeedAndTensorAlone) {
  const TempDir dir;
  MakeModelOptions options = TinyOptions(dir / "a", "Qwen3-30B-A3B-FP8");
  ASSERT_OK(MakeModel(options));
  options.out_dir = dir / "b";
  options.threads = 1;
  options.max_shard_gb = 300e-6;
  options.architecture.num_layers = 1;
  ASSERT_OK(MakeModel(options));
  options.out_dir = dir / "c";
  options.seed = 8;
  ASSERT_OK(MakeModel(options));

  const auto a = engine::Checkpoint::Open(dir / "a");
  const auto b = engine::Checkpoint::Open(dir / "b");
  const auto c = engine::Checkpoint::Open(dir / "c");
  ASSERT_OK(a);
  ASSERT_OK(b);
  ASSERT_OK(c);
  for (const TensorSpec& tensor : PlanTensors(options.architecture)) {
    SCOPED_TRACE(tensor.name);
    const auto in_a = (*a)->Find(tensor.name);
    const auto in_b = (*b)->Find(tensor.name);
    const auto in_c = (*c)->Find(tensor.name);
    ASSERT_TRUE(in_a.ok() && in_b.ok() && in_c.ok());
    EXPECT_EQ(in_a->shape, tensor.shape);
    ASSERT_TRUE(std::ranges::equal(in_a->data, in_b->data));
    ASSERT_FALSE(std::ranges::equal(in_a->data, in_c->data));
  }
}

TEST(MakeModel, CopiesTheHeadOfReleasesThatStoreATiedOne) {
  const TempDir dir;
  ASSERT_OK(MakeModel(TinyOptions(dir / "m", "Qwen3-0.6B-FP8")));
  const auto checkpoint = engine::Checkpoint::Open(dir / "m");
  ASSERT_OK(checkpoint);
  EXPECT_TRUE(std::ranges::equal((*checkpoint)->Find("lm_head.weight")->data,
                                 (*checkpoint)->Find("model.embed_tokens.weight")->data));
}

class MadeModelOf : public ::testing::TestWithParam<std::string> {};

TEST_P(MadeModelOf, LoadsAndGivesTheSameLogitsAtEveryTensorParallelSize) {
  const TempDir dir;
  ASSERT_OK(MakeModel(TinyOptions(dir / "m", GetParam())));
  const std::vector<int32_t> prompt = {1, 5, 300, 77, 639, 0, 12, 600};
  std::vector<std::vector<float>> logits;
  for (const int size : {1, 2}) {
    auto group = testing::ModelGroup::Load(dir / "m", {.tensor_parallel_size = size});
    ASSERT_OK(group);
    logits.push_back((*group)->LastLogits(prompt));
  }
  EXPECT_EQ(logits[0], logits[1]);
  // Sane: as wide as the products that made them, neither collapsed nor exploded.
  double squares = 0;
  for (const float value : logits[0]) squares += double{value} * value;
  const double deviation = std::sqrt(squares / static_cast<double>(logits[0].size()));
  EXPECT_GT(deviation, 0.3);
  EXPECT_LT(deviation, 3);
}

INSTANTIATE_TEST_SUITE_P(Formats, MadeModelOf,
                         ::testing::Values("Qwen3-30B-A3B-FP8", "Qwen3-30B-A3B", "Qwen3-0.6B",
                                           "Qwen3-8B-FP8", "Qwen3-30B-A3B-GPTQ-Int4",
                                           "Qwen3-4B-GPTQ-Int4", "Qwen3-0.6B-GPTQ-Int8",
                                           "Qwen3-8B-AWQ"));

TEST(MakeModel, RefusesToOverwriteUnlessForced) {
  const TempDir dir;
  MakeModelOptions options = TinyOptions(dir / "m", "Qwen3-0.6B");
  options.max_shard_gb = 100e-6;
  ASSERT_OK(MakeModel(options));
  testing::WriteFile(dir / "m/notes.txt", "mine");
  EXPECT_THAT(MakeModel(options).status(), StatusIs(absl::StatusCode::kAlreadyExists, "--force"));
  options.force = true;
  options.max_shard_gb = 1;
  ASSERT_OK(MakeModel(options));
  EXPECT_EQ(Read(dir / "m/notes.txt"), "mine");
  // Nothing of the old model is left that a reader could mistake for a part of the new one.
  EXPECT_FALSE(std::filesystem::exists(dir / "m/model.safetensors.index.json"));
  EXPECT_OK(engine::Checkpoint::Open(dir / "m"));
}

TEST(MakeModel, RefusesWhatMakesNoModel) {
  const TempDir dir;
  MakeModelOptions options = TinyOptions(dir / "m", "Qwen3-0.6B");
  options.architecture.num_kv_heads = 3;
  EXPECT_THAT(MakeModel(options).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, "num_attention_heads"));
  options = TinyOptions(dir / "m", "Qwen3-0.6B");
  options.architecture.vocab_size = 100;
  EXPECT_THAT(MakeModel(options).status(), StatusIs(absl::StatusCode::kInvalidArgument, "282"));
  options = TinyOptions(dir / "m", "Qwen3-0.6B");
  options.tokenizer_from = dir / "none";
  EXPECT_THAT(MakeModel(options).status(), StatusIs(absl::StatusCode::kNotFound, "tokenizer.json"));
  EXPECT_FALSE(std::filesystem::exists(dir / "m"));
}

TEST(MakeModel, SaysWhenTheDiskIsTooSmall) {
  const TempDir dir;
  MakeModelOptions options{.out_dir = dir / "m", .architecture = *FindRelease("Qwen3-0.6B")};
  options.architecture.num_layers = 64;
  options.architecture.hidden_size = 1 << 20;
  options.architecture.intermediate_size = 1 << 20;  // 400 TB
  const auto made = MakeModel(options);
  EXPECT_THAT(made, StatusIs(absl::StatusCode::kResourceExhausted, "GB"));
}

TEST(MakeModel, CopiesATokenizer) {
  const TempDir dir;
  const std::string demo = VALLM_SOURCE_DIR "/tools/demo_model/Qwen3-Demo-MoE-FP8";
  MakeModelOptions options = TinyOptions(dir / "m", "Qwen3-0.6B");
  options.tokenizer_from = demo;
  // 6296 ids do not fit 640 rows.
  EXPECT_THAT(MakeModel(options).status(), StatusIs(absl::StatusCode::kInvalidArgument, "6296"));
  options.architecture.vocab_size = 6400;
  ASSERT_OK(MakeModel(options));
  EXPECT_EQ(Read(dir / "m/tokenizer.json"), Read(demo + "/tokenizer.json"));
  const auto config = engine::LoadModelConfig(dir / "m");
  ASSERT_OK(config);
  EXPECT_THAT(config->eos_token_ids, ::testing::ElementsAre(6272, 6270));
}

}  // namespace
}  // namespace vallm::tools
