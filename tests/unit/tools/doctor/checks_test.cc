#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tools/doctor/finding.h"
#include "tools/doctor/host_checks.h"
#include "tools/doctor/limits_table.h"
#include "tools/doctor/model_checks.h"

namespace vallm::tools {
namespace {

namespace fs = std::filesystem;

std::string ReadText(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// The finding of a check; fails where there is none.
Finding Of(const Findings& findings, const std::string& check) {
  for (const Finding& finding : findings) {
    if (finding.check == check) return finding;
  }
  ADD_FAILURE() << "no finding about " << check << " in\n" << FindingsTable(findings, false);
  return {};
}

void ExpectFinding(const Findings& findings, const std::string& check, Verdict verdict,
                   const std::string& detail, const std::string& remedy) {
  const Finding finding = Of(findings, check);
  EXPECT_EQ(finding.verdict, verdict) << finding.detail;
  EXPECT_TRUE(absl::StrContains(finding.detail, detail)) << finding.detail;
  EXPECT_TRUE(absl::StrContains(finding.remedy, remedy)) << finding.remedy;
}

TEST(FindingTest, TheTableSaysWhatToDo) {
  const Findings findings = {
      {.check = "a", .detail = "fine\nand well"},
      {.check = "b", .verdict = Verdict::kFail, .detail = "broken", .remedy = "mend it"}};
  EXPECT_EQ(FindingsTable(findings, /*color=*/false),
            "pass  a                  fine and well\n"
            "FAIL  b                  broken\n"
            "                         -> mend it\n");
  EXPECT_TRUE(AnyFailed(findings));
  const auto json = nlohmann::json::parse(FindingsJson(findings));
  EXPECT_EQ(json["ok"], false);
  EXPECT_EQ(json["checks"][1]["verdict"], "fail");
  EXPECT_EQ(json["checks"][0]["detail"], "fine\nand well");
}

engine::ModelConfig Shape(int32_t hidden, int32_t layers, int32_t experts = 0) {
  engine::ModelConfig config;
  config.hidden_size = hidden;
  config.num_layers = layers;
  if (experts > 0) config.moe = {.num_experts = experts, .dense_layers = {}};
  return config;
}

TEST(LimitsTableTest, KnowsTheVendorsRows) {
  const auto moe = DieLimitsOf(Shape(2048, 48, 128));
  ASSERT_TRUE(moe.has_value());
  EXPECT_EQ(moe->model, "Qwen3-30B-A3B");
  ASSERT_EQ(moe->limits.size(), 4U);
  EXPECT_EQ(moe->limits[0].tensor_parallel_size, 2);
  EXPECT_EQ(moe->limits[0].max_model_len, 65536);
  EXPECT_EQ(moe->limits[0].max_input_len, 57344);
  EXPECT_EQ(moe->limits[1].tensor_parallel_size, 4);
  EXPECT_EQ(moe->limits[1].max_model_len, 131072);
  EXPECT_EQ(moe->limits[1].max_input_len, 102400);
  EXPECT_EQ(DieLimitsOf(Shape(2048, 28))->limits.back().max_model_len, 32768);
  EXPECT_FALSE(DieLimitsOf(Shape(256, 6, 16)).has_value());
}

// A copy of the demo model of which files can be replaced.
class ModelChecksTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "model_XXXXXX";
    dir_ = mkdtemp(pattern.data());
    const fs::path demo = fs::path(VALLM_SOURCE_DIR) / "tools/demo_model/Qwen3-Demo-MoE-FP8";
    for (const auto& entry : fs::directory_iterator(demo)) {
      fs::create_symlink(entry.path(), dir_ / entry.path().filename());
    }
    options_.engine.model_dir = dir_.string();
    options_.engine.worker_binary = "/bin/true";
    options_.served_model_names = {"demo"};
  }
  void TearDown() override { fs::remove_all(dir_); }

  void Write(const std::string& leaf, const std::string& text) const {
    fs::remove(dir_ / leaf);
    std::ofstream(dir_ / leaf, std::ios::binary) << text;
  }
  nlohmann::json Json(const std::string& leaf) const {
    return nlohmann::json::parse(ReadText(dir_ / leaf));
  }
  std::string Template(const std::string& name) const {
    return absl::StrCat(VALLM_TEST_DATA, "/conformance/templates/", name, ".jinja");
  }
  Findings Check() const {
    Findings findings;
    CheckModel(options_, findings);
    return findings;
  }

  fs::path dir_;
  ServeOptions options_;
};

TEST_F(ModelChecksTest, TheDemoModelIsWell) {
  const Findings findings = Check();
  EXPECT_FALSE(AnyFailed(findings)) << FindingsTable(findings, false);
  EXPECT_EQ(Of(findings, "config").verdict, Verdict::kPass);
  EXPECT_TRUE(absl::StrContains(Of(findings, "reasoning").detail, "enable_thinking switches it"));
  EXPECT_TRUE(absl::StrContains(Of(findings, "KV pool").detail, "4 slots"));
}

TEST_F(ModelChecksTest, AFileThatIsMissing) {
  fs::remove(dir_ / "tokenizer.json");
  ExpectFinding(Check(), "model files", Verdict::kFail, "tokenizer.json", "");
}

TEST_F(ModelChecksTest, ADownloadThatWasCutShort) {
  const std::string whole = ReadText(dir_ / "model-00002-of-00002.safetensors");
  Write("model-00002-of-00002.safetensors", whole.substr(0, whole.size() / 2));
  ExpectFinding(Check(), "weights", Verdict::kFail, "model-00002", "download");
}

TEST_F(ModelChecksTest, MoreLayersThanTheFilesHave) {
  nlohmann::json config = Json("config.json");
  config["num_hidden_layers"] = 7;
  Write("config.json", config.dump());
  ExpectFinding(Check(), "weights", Verdict::kFail, "model.layers.6.input_layernorm",
                "download the model again");
}

TEST_F(ModelChecksTest, TheTokenizerOfAnotherModel) {
  nlohmann::json config = Json("config.json");
  config["vocab_size"] = 100;
  Write("config.json", config.dump());
  ExpectFinding(Check(), "tokenizer", Verdict::kFail, "has 100 rows", "another model");
}

TEST_F(ModelChecksTest, ATemplateThatCannotBeParsed) {
  Write("bad.jinja", "{% for %}");
  options_.chat_template = (dir_ / "bad.jinja").string();
  ExpectFinding(Check(), "chat template", Verdict::kFail, "line 1", "--chat-template");
}

TEST_F(ModelChecksTest, NoTemplateAtAll) {
  nlohmann::json config = Json("tokenizer_config.json");
  config.erase("chat_template");
  Write("tokenizer_config.json", config.dump());
  fs::remove(dir_ / "chat_template.jinja");
  ExpectFinding(Check(), "chat template", Verdict::kFail, "has none", "--chat-template");
}

TEST_F(ModelChecksTest, ATemplateThatDoesNotThink) {
  options_.chat_template = Template("qwen3_nonthinking");
  EXPECT_TRUE(absl::StrContains(Of(Check(), "reasoning").detail, "switches thinking off"));
  options_.chat_template = Template("qwen3_instruct_2507");
  EXPECT_TRUE(absl::StrContains(Of(Check(), "reasoning").detail, "knows no thoughts"));
  options_.chat_template = Template("qwen3_thinking_2507");
  EXPECT_TRUE(absl::StrContains(Of(Check(), "reasoning").detail, "begins inside <think>"));
  options_.enable_reasoning = false;
  ExpectFinding(Check(), "reasoning", Verdict::kWarn, "parser off", "--enable-reasoning");
}

TEST_F(ModelChecksTest, AToolParserThatDoesNotBelongToTheTemplate) {
  options_.tool_call_parser = "qwen3_coder";
  ExpectFinding(Check(), "tool calls", Verdict::kFail, "in the form of hermes",
                "--tool-call-parser hermes");
  options_.chat_template = Template("qwen3_coder");
  EXPECT_EQ(Of(Check(), "tool calls").verdict, Verdict::kPass);
  options_.tool_call_parser = "hermes";
  ExpectFinding(Check(), "tool calls", Verdict::kFail, "in the form of qwen3_coder",
                "--tool-call-parser qwen3_coder");
}

TEST_F(ModelChecksTest, ATensorParallelSizeThatDoesNotDivide) {
  options_.engine.tensor_parallel_size = 3;
  ExpectFinding(Check(), "tensor parallel", Verdict::kFail, "3", "can be 1, 2, 4");
}

TEST_F(ModelChecksTest, MoreContextThanTheModelHas) {
  options_.engine.max_model_len = 8192;
  ExpectFinding(Check(), "context", Verdict::kFail, "8192", "--enable-qwen3-rope-scaling");
  options_.engine.allow_long_max_model_len = true;
  ExpectFinding(Check(), "context", Verdict::kWarn, "trained for", "noise");
}

TEST_F(ModelChecksTest, YarnWhereTheModelNeedsNone) {
  nlohmann::json config = Json("config.json");
  config["max_position_embeddings"] = 262144;  // as the 2507 models have
  Write("config.json", config.dump());
  options_.engine.enable_qwen3_rope_scaling = true;
  options_.engine.max_model_len = 65536;
  ExpectFinding(Check(), "YaRN", Verdict::kWarn, "positions of its own", "leave");
}

TEST_F(ModelChecksTest, APoolThatIsSmallerThanARequest) {
  options_.engine.num_kv_blocks = 8;
  ExpectFinding(Check(), "KV pool", Verdict::kWarn, "128 tokens", "--kv-cache-memory");
}

// A machine of files.
class HostChecksTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "host_XXXXXX";
    question_.root = mkdtemp(pattern.data());
    options_.engine.device = "vacc";
    options_.port = 20000 + getpid() % 5000;
    options_.management_port = options_.port + 1;
    setenv("VALLM_VACC_PLUGIN", VALLM_LIB_DIR "/libvallm_vacc_cpu.so", 1);
    setenv("VALLM_VACC_CPU_DIES", "4", 1);
  }
  void TearDown() override {
    fs::remove_all(question_.root);
    unsetenv("VACC_VISIBLE_DEVICES");
  }

  void Write(const std::string& path, const std::string& text) const {
    const fs::path file = question_.root / path;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  Findings Check() const {
    Findings findings;
    CheckHost(options_, question_, findings);
    return findings;
  }

  HostQuestion question_;
  ServeOptions options_;
};

TEST_F(HostChecksTest, FewerDiesThanInstancesNeed) {
  options_.instances = 2;
  options_.engine.tensor_parallel_size = 2;
  ExpectFinding(Check(), "devices", Verdict::kPass, "0,1,2,3", "");
  options_.instances = 3;
  ExpectFinding(Check(), "devices", Verdict::kFail, "6 dies are needed, 4 may be used",
                "--devices");
  options_.instances = 2;
  setenv("VACC_VISIBLE_DEVICES", "0-2", 1);
  ExpectFinding(Check(), "devices", Verdict::kFail, "3 may be used (0-2)", "lower --instance");
}

TEST_F(HostChecksTest, DiesThatDoNotExist) {
  setenv("VACC_VISIBLE_DEVICES", "2,9", 1);
  ExpectFinding(Check(), "devices", Verdict::kFail, "9", "dies 0 to 3");
  setenv("VACC_VISIBLE_DEVICES", "7-0", 1);
  ExpectFinding(Check(), "devices", Verdict::kFail, "7-0", "--devices");
}

TEST_F(HostChecksTest, TheIommuOnlyMattersForDies) {
  Write("proc/cmdline", "root=/dev/sda1 intel_iommu=on quiet");
  ExpectFinding(Check(), "IOMMU", Verdict::kFail, "on", "iommu=off");
  options_.engine.device = "cpu";
  EXPECT_EQ(Of(Check(), "IOMMU").verdict, Verdict::kPass);
  Write("proc/cmdline", "quiet");
  EXPECT_EQ(Of(Check(), "IOMMU").detail, "off");
  Write("sys/kernel/iommu_groups/0/type", "DMA");
  EXPECT_TRUE(absl::StartsWith(Of(Check(), "IOMMU").detail, "on"));
}

TEST_F(HostChecksTest, ADiskWithoutRoomForTheLogs) {
  question_.log_dir = ::testing::TempDir() + "/not/made/yet";
  question_.log_bytes = 1;
  EXPECT_EQ(Of(Check(), "disk").verdict, Verdict::kPass);
  question_.log_bytes = int64_t{1} << 60;
  ExpectFinding(Check(), "disk", Verdict::kWarn, "free", "--log-max-mib");
}

TEST_F(HostChecksTest, PortsThatAreHeldByWhatIsReplaced) {
  EXPECT_EQ(Of(Check(), "ports").verdict, Verdict::kPass);
  options_.management_port = options_.port;
  ExpectFinding(Check(), "ports", Verdict::kFail, "are both", "different");
}

TEST_F(HostChecksTest, AControlGroupBoundsTheMemory) {
  Write("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 900 kB\n");
  EXPECT_EQ(UsableMemory(question_.root), 900 * 1024);
  Write("sys/fs/cgroup/memory.max", "500000");
  Write("sys/fs/cgroup/memory.current", "100000");
  EXPECT_EQ(UsableMemory(question_.root), 400000);
  Write("sys/fs/cgroup/memory.max", "max");
  EXPECT_EQ(UsableMemory(question_.root), 900 * 1024);
}

TEST_F(HostChecksTest, InstancesThatDoNotFitTheMemory) {
  options_.engine.device = "cpu";
  options_.engine.model_dir = VALLM_SOURCE_DIR "/tools/demo_model/Qwen3-Demo-MoE-FP8";
  options_.engine.worker_binary = "/bin/true";
  options_.engine.kv_cache_bytes = int64_t{64} << 20;
  options_.instances = 4;
  Write("proc/meminfo", "MemTotal: 2000000 kB\nMemAvailable: 1900000 kB\n");
  EXPECT_NE(Of(Check(), "memory").verdict, Verdict::kFail);
  Write("proc/meminfo", "MemTotal: 2000000 kB\nMemAvailable: 700000 kB\n");
  ExpectFinding(Check(), "memory", Verdict::kFail, "4 x", "--instance 2");
  options_.instances = 1;
  options_.engine.kv_cache_bytes = int64_t{4} << 30;
  ExpectFinding(Check(), "memory", Verdict::kFail, "1 x", "--kv-cache-memory");
}

}  // namespace
}  // namespace vallm::tools
