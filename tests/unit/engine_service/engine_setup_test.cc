#include "engine_service/engine_setup.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "engine_service/device/cpu/isa.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using testing::StatusIs;

class EngineSetupTest : public ::testing::Test {
 protected:
  EngineSetupTest() {
    options_.model_dir = VALLM_TEST_DATA "/golden_models/qwen3-moe-fp8";
    options_.worker_binary = "/bin/vallm-worker";
  }
  EngineSetup Prepare() { return PrepareEngine(options_).value(); }

  EngineOptions options_;
};

TEST_F(EngineSetupTest, ThePoolHoldsAFullBatchByDefault) {
  options_.max_model_len = 100;
  options_.max_batch_size = 3;
  const EngineSetup setup = Prepare();
  EXPECT_EQ(setup.scheduler.num_kv_blocks, 3 * 7);
  EXPECT_EQ(setup.info.kv_cache_tokens, 3 * 7 * 16);
  EXPECT_THAT(setup.warnings, IsEmpty());
}

TEST_F(EngineSetupTest, KvMemoryIsThatOfAllRanksTogether) {
  // 2 layers x (K, V) x 16 positions x 2 KV heads of 32 x f32, whatever the number of ranks.
  const int64_t block_bytes = int64_t{2} * 2 * 16 * 2 * 32 * 4;
  options_.kv_cache_bytes = 10 * block_bytes + block_bytes / 2;
  for (const int32_t ranks : {1, 2}) {
    options_.tensor_parallel_size = ranks;
    options_.kv_cache_dtype = "auto";
    EXPECT_EQ(Prepare().scheduler.num_kv_blocks, 10);
    options_.kv_cache_dtype = "bfloat16";
    EXPECT_EQ(Prepare().scheduler.num_kv_blocks, 21);
  }
}

TEST_F(EngineSetupTest, TheInstructionSetDecidesTheNumerics) {
  std::map<bool, std::set<std::string>> fingerprints;  // by whether it is AMX
  for (const Isa isa : AvailableIsas()) {
    options_.cpu_isa = IsaName(isa);
    const EngineSetup setup = Prepare();
    EXPECT_THAT(setup.group.worker_args[0], Contains("--cpu-isa=" + options_.cpu_isa));
    EXPECT_THAT(setup.description, Contains("  kernels: " + options_.cpu_isa));
    fingerprints[isa == Isa::kAmx].insert(setup.info.fingerprint);
  }
  EXPECT_THAT(fingerprints[false], SizeIs(1));
  for (const std::string& amx : fingerprints[true]) {
    EXPECT_THAT(fingerprints[false], Not(Contains(amx)));
  }
  options_.cpu_isa = "auto";
  const std::string best(IsaName(AvailableIsas().back()));
  EXPECT_THAT(Prepare().description, Contains("  kernels: " + best));
}

TEST_F(EngineSetupTest, RefusesInstructionSetsThatAreNone) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  options_.cpu_isa = "avx1024";
  EXPECT_THAT(PrepareEngine(options_),
              StatusIs(kInvalid, "--cpu-isa: no instruction set is called \"avx1024\""));
  options_.cpu_isa = "portable";
  for (const char* device : {"mock", "vacc"}) {
    options_.device = device;
    EXPECT_THAT(PrepareEngine(options_),
                StatusIs(kInvalid, "--cpu-isa is for --device cpu, not for "));
  }
}

TEST_F(EngineSetupTest, WarnsOfAPoolBelowTheModelLength) {
  options_.num_kv_blocks = 2;
  EXPECT_THAT(Prepare().warnings, Contains(HasSubstr("the KV pool holds 32 tokens")));
}

TEST_F(EngineSetupTest, WarnsOfAPoolBelowAFullBatch) {
  options_.max_model_len = 40;  // three blocks
  options_.max_batch_size = 4;
  options_.num_kv_blocks = 11;
  EXPECT_THAT(Prepare().warnings,
              Contains(HasSubstr("the KV pool holds 176 tokens = 3 full contexts for 4 slots")));
  options_.num_kv_blocks = 12;
  EXPECT_THAT(Prepare().warnings, IsEmpty());
}

TEST_F(EngineSetupTest, DescribesWhatIsServed) {
  options_.num_kv_blocks = 5;
  options_.tensor_parallel_size = 2;
  options_.rope_scaling_json = R"({"rope_type":"yarn","factor":2.0})";
  const std::vector<std::string> lines = Prepare().description;
  ASSERT_FALSE(lines.empty());
  EXPECT_THAT(lines[0], HasSubstr("Qwen3MoeForCausalLM: 2 layers"));
  EXPECT_THAT(lines[0], HasSubstr("FP8 in blocks of 128x128; YaRN factor 2"));
  EXPECT_THAT(lines, Contains(HasSubstr("experts down_proj columns: 96 of 192 a rank")));
  EXPECT_THAT(lines, Contains(HasSubstr("KV pool: 80 tokens in 5 blocks, 0.1 MiB over 2 ranks")));
}

TEST_F(EngineSetupTest, SixteenRanksHaveBitsOfTheirOwn) {
  options_.model_dir = VALLM_TEST_DATA "/golden_models/qwen3-dense-fp8-ragged";
  const std::string one = Prepare().info.fingerprint;
  options_.tensor_parallel_size = 8;
  EXPECT_EQ(Prepare().info.fingerprint, one);
  options_.tensor_parallel_size = 16;
  EXPECT_NE(Prepare().info.fingerprint, one);
}

TEST_F(EngineSetupTest, RefusesThreadsThatNoHostCanRun) {
  options_.threads_per_worker = 100000;
  EXPECT_THAT(PrepareEngine(options_),
              StatusIs(absl::StatusCode::kInvalidArgument, "--threads-per-worker is 100000"));
  options_.threads_per_worker = 1024;
  EXPECT_OK(PrepareEngine(options_));
}

TEST_F(EngineSetupTest, AModelWithoutDefaultsSamplesPlainly) {
  const SamplingParams& sampling = Prepare().info.default_sampling;
  EXPECT_EQ(sampling.temperature, 1);
  EXPECT_EQ(sampling.top_p, 1);
  EXPECT_EQ(sampling.top_k, 0);
}

TEST_F(EngineSetupTest, DefaultsOfTheGenerationConfigAreApplied) {
  const std::filesystem::path dir =
      std::filesystem::path(::testing::TempDir()) / "engine_setup_test_model";
  std::filesystem::remove_all(dir);
  std::filesystem::copy(options_.model_dir, dir);
  const auto write = [&](const char* text) {
    std::ofstream(dir / "generation_config.json") << text;
  };
  options_.model_dir = dir;
  write(R"({"eos_token_id": 1, "temperature": 0.6, "top_p": 0.95, "top_k": 20, "min_p": 0.125,
            "repetition_penalty": 1.25})");
  const EngineSetup setup = Prepare();
  EXPECT_EQ(setup.info.default_sampling, (SamplingParams{.temperature = 0.6f,
                                                         .top_p = 0.95f,
                                                         .top_k = 20,
                                                         .min_p = 0.125f,
                                                         .repetition_penalty = 1.25f}));
  EXPECT_THAT(setup.warnings, IsEmpty());
  write(R"({"eos_token_id": 1, "top_p": 1.5})");
  EXPECT_THAT(PrepareEngine(options_),
              StatusIs(absl::StatusCode::kInvalidArgument, "generation_config.json"));
}

TEST_F(EngineSetupTest, EveryRankGetsTheSameButItsLog) {
  options_.tensor_parallel_size = 2;
  options_.threads_per_worker = 3;
  options_.name = "engine-1";
  options_.log_dir = "/logs";
  const std::vector<std::vector<std::string>> args = Prepare().group.worker_args;
  ASSERT_EQ(args.size(), 2u);
  for (const auto& own : args) {
    EXPECT_THAT(own, Contains("--threads=3"));
    EXPECT_THAT(own, Contains("--log-dir=/logs"));
    EXPECT_THAT(own, ::testing::Not(Contains(HasSubstr("--rope-scaling"))));
  }
  EXPECT_THAT(args[0], Contains("--log-name=engine-1-worker-0"));
  EXPECT_THAT(args[1], Contains("--log-name=engine-1-worker-1"));
}

TEST_F(EngineSetupTest, TheFingerprintIsTheModelsAndNotTheGroups) {
  const std::string fingerprint = Prepare().info.fingerprint;
  options_.tensor_parallel_size = 2;
  options_.max_batch_size = 9;
  options_.kv_cache_dtype = "float32";
  EXPECT_EQ(Prepare().info.fingerprint, fingerprint);
  options_.kv_cache_dtype = "bfloat16";
  EXPECT_NE(Prepare().info.fingerprint, fingerprint);
  options_.kv_cache_dtype = "fp8";
  const std::string fp8 = Prepare().info.fingerprint;
  EXPECT_NE(fp8, fingerprint);
  options_.kv_cache_dtype = "fp8_e4m3";
  EXPECT_EQ(Prepare().info.fingerprint, fp8) << "another name of the same";
  options_.kv_cache_dtype = "auto";
  options_.rope_scaling_json =
      R"({"rope_type":"yarn","factor":2.0,"original_max_position_embeddings":64})";
  EXPECT_NE(Prepare().info.fingerprint, fingerprint);
}

}  // namespace
}  // namespace vallm::engine
