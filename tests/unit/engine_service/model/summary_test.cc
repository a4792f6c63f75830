#include "engine_service/model/summary.h"

#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Model {
  explicit Model(const std::string& name) {
    const std::string dir = std::string(VALLM_TEST_DATA "/golden_models/") + name;
    config = *LoadModelConfig(dir);
    checkpoint = *Checkpoint::Open(dir);
  }
  ModelConfig config;
  std::unique_ptr<Checkpoint> checkpoint;
};

const TensorClass* Find(const std::vector<TensorClass>& classes, const std::string& name) {
  for (const TensorClass& c : classes) {
    if (c.name == name) return &c;
  }
  return nullptr;
}

ShardCut Cut(const ModelConfig& config, int32_t size, const std::string& matrices) {
  for (const ShardCut& cut : ShardCuts(config, size)) {
    if (cut.matrices == matrices) return cut;
  }
  ADD_FAILURE() << "no cut of " << matrices;
  return {};
}

TEST(TensorClassesTest, AccountForEveryByteAndParameter) {
  for (const char* name : {"qwen3-dense-bf16", "qwen3-moe-fp8", "qwen3-moe-bf16"}) {
    const Model model(name);
    int64_t bytes = 0, parameters = 0;
    const auto classes = TensorClasses(model.config, *model.checkpoint);
    for (const TensorClass& c : classes) {
      bytes += c.bytes;
      parameters += c.parameters;
    }
    EXPECT_EQ(bytes, model.checkpoint->total_bytes()) << name;
    EXPECT_EQ(Find(classes, "unused"), nullptr) << name;
    if (model.config.fp8.has_value()) continue;
    EXPECT_EQ(bytes, 2 * parameters) << name;
  }
}

TEST(TensorClassesTest, NameWhatTheTensorsAre) {
  const Model fp8("qwen3-moe-fp8");
  const auto classes = TensorClasses(fp8.config, *fp8.checkpoint);
  ASSERT_NE(Find(classes, "experts"), nullptr);
  EXPECT_EQ(Find(classes, "experts")->dtypes, "F8_E4M3");
  EXPECT_EQ(Find(classes, "experts")->parameters, 2 * 6 * 3 * 192 * 256);
  EXPECT_EQ(Find(classes, "router")->dtypes, "BF16");
  EXPECT_EQ(Find(classes, "mlp"), nullptr);
  EXPECT_NE(Find(classes, "head"), nullptr);
  const Model dense("qwen3-dense-bf16");
  const auto dense_classes = TensorClasses(dense.config, *dense.checkpoint);
  EXPECT_EQ(Find(dense_classes, "experts"), nullptr);
  EXPECT_EQ(Find(dense_classes, "head"), nullptr) << "tied";
  EXPECT_EQ(Find(dense_classes, "mlp")->parameters, 3 * 3 * 352 * 128);
}

TEST(ShardCutsTest, TellWhichShardsCutBlocks) {
  ModelConfig config = Model("qwen3-moe-fp8").config;
  config.num_heads = 32;
  config.num_kv_heads = 4;
  config.head_dim = 128;
  config.moe->intermediate_size = 768;
  const char* down = "experts down_proj columns";
  EXPECT_EQ(Cut(config, 2, down).shard, 384);
  EXPECT_FALSE(Cut(config, 2, down).straddles);
  EXPECT_EQ(Cut(config, 4, down).shard, 192);
  EXPECT_TRUE(Cut(config, 4, down).straddles);
  EXPECT_EQ(Cut(config, 8, down).shard, 96);
  EXPECT_TRUE(Cut(config, 8, down).straddles);
  EXPECT_FALSE(Cut(config, 16, "q_proj rows").straddles);
  EXPECT_FALSE(Cut(config, 16, "k_proj, v_proj rows").straddles) << "replicated";
  EXPECT_THAT(ShardCuts(config, 1), IsEmpty());
  config.fp8.reset();
  EXPECT_THAT(ShardCuts(config, 4), IsEmpty());
  config.integer = IntegerConfig{};
  EXPECT_TRUE(Cut(config, 4, down).straddles);
  EXPECT_FALSE(Cut(config, 4, "experts gate_proj, up_proj rows").straddles);
  config.integer->group_size = 0;
  EXPECT_TRUE(Cut(config, 2, down).straddles) << "every rank has a part of the one group";
}

TEST(DescribeModelTest, SaysWhatPeopleAskFor) {
  const Model model("qwen3-moe-fp8");
  const auto lines = DescribeModel(model.config, *model.checkpoint, 2);
  EXPECT_EQ(lines[0],
            "Qwen3MoeForCausalLM: 2 layers, hidden 256, 4 query and 2 KV heads of 32, 6 experts of "
            "192, 2 a token, vocabulary 512; FP8 in blocks of 128x128");
  EXPECT_THAT(lines, Contains(HasSubstr("experts       1.8 M parameters      1.7 MiB  F8_E4M3")));
  EXPECT_THAT(lines, Contains("  experts down_proj columns: 96 of 192 a rank, cutting blocks of "
                              "128"));
  EXPECT_THAT(lines, Contains("  q_proj rows: 64 of 128 a rank, cutting blocks of 128"));
  const Model yarn("qwen3-moe-yarn");
  EXPECT_THAT(DescribeModel(yarn.config, *yarn.checkpoint, 1)[0],
              HasSubstr("YaRN factor 4 over 64 positions, attention factor 1.1386"));
}

}  // namespace
}  // namespace vallm::engine
