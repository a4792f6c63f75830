#include "tools/deploy/deployment.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/flags.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tools/deploy/change_plan.h"
#include "tools/deploy/deploy_options.h"
#include "tools/deploy/host_children.h"

namespace vallm::tools {
namespace {

using ::testing::ElementsAre;
using ::vallm::testing::StatusIs;

class DeploymentTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "deployment_XXXXXX";
    dir_ = mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  Deployment Made(const std::string& name) const {
    auto deployment = Deployment::At(dir_, name);
    EXPECT_OK(deployment);
    EXPECT_OK(deployment->Make());
    return *deployment;
  }

  std::string dir_;
};

const DeploymentRecord kRecord{.runtime = "host",
                               .flags = {{"model", {"/m"}}, {"served-model-name", {"a", "b"}}},
                               .tokenizer_port = 20001,
                               .engine_ports = {20002, 20003},
                               .kv_cache_bytes = 7};

TEST_F(DeploymentTest, ARecordIsReadAsItWasWritten) {
  const Deployment deployment = Made("x");
  EXPECT_THAT(deployment.Read(), StatusIs(absl::StatusCode::kNotFound, ""));
  ASSERT_OK(deployment.Write(kRecord));
  const auto read = deployment.Read();
  ASSERT_OK(read);
  EXPECT_EQ(read->flags, kRecord.flags);
  EXPECT_EQ(read->engine_ports, kRecord.engine_ports);
  EXPECT_EQ(read->kv_cache_bytes, 7);
}

TEST_F(DeploymentTest, OnlyTheOwnerMayReadKeys) {
  const Deployment deployment = Made("x");
  ASSERT_OK(deployment.Write(kRecord));
  const auto key = deployment.AdminKey();
  ASSERT_OK(key);
  EXPECT_GE(key->size(), 64U);
  EXPECT_EQ(*deployment.AdminKey(), *key);
  for (const char* leaf : {"deployment.json", "admin-key"}) {
    struct stat info = {};
    ASSERT_EQ(stat(deployment.File(leaf).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U) << leaf;
  }
  struct stat info = {};
  ASSERT_EQ(stat(deployment.directory().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700U);
}

TEST_F(DeploymentTest, RefusesARecordThatItDoesNotUnderstand) {
  const Deployment deployment = Made("x");
  for (const char* text : {"", "[]", "{\"version\": 2}", "{\"version\": 1, \"flags\": []}"}) {
    std::ofstream(deployment.File("deployment.json")) << text;
    EXPECT_THAT(deployment.Read(), StatusIs(absl::StatusCode::kInvalidArgument, "deploy again"))
        << text;
  }
}

TEST_F(DeploymentTest, ChoosesTheOnlyOneOrAsks) {
  EXPECT_THAT(Deployment::Choose(dir_, ""), StatusIs(absl::StatusCode::kNotFound, "vallm deploy"));
  ASSERT_OK(Made("b").Write(kRecord));
  EXPECT_EQ(Deployment::Choose(dir_, "")->name(), "b");
  ASSERT_OK(Made("a").Write(kRecord));
  Made("without-a-record");
  EXPECT_THAT(Deployment::List(dir_), ElementsAre("a", "b"));
  EXPECT_THAT(Deployment::Choose(dir_, ""), StatusIs(absl::StatusCode::kInvalidArgument, "a, b"));
  EXPECT_EQ(Deployment::Choose(dir_, "a")->name(), "a");
  EXPECT_THAT(Deployment::Choose(dir_, "c"), StatusIs(absl::StatusCode::kNotFound, ""));
}

TEST_F(DeploymentTest, RefusesNamesThatLeaveTheDirectory) {
  for (const char* name : {"", ".", "..", "../x", "a/b", ".hidden", "a b"}) {
    EXPECT_THAT(Deployment::At(dir_, name), StatusIs(absl::StatusCode::kInvalidArgument, ""))
        << name;
  }
}

TEST_F(DeploymentTest, ALockIsHeldByOne) {
  const Deployment deployment = Made("x");
  EXPECT_FALSE(deployment.HasSupervisor());
  {
    const auto lock = FileLock::Take(deployment.File("supervisor.lock"));
    ASSERT_OK(lock);
    EXPECT_TRUE(deployment.HasSupervisor());
    EXPECT_THAT(FileLock::Take(deployment.File("supervisor.lock")),
                StatusIs(absl::StatusCode::kAlreadyExists, ""));
  }
  EXPECT_FALSE(deployment.HasSupervisor());
}

TEST(DescribeChangesTest, ShowsEveryChangeButNoKey) {
  EXPECT_THAT(DescribeChanges({{"port", {"1"}}, {"api-key", {"old"}}, {"same", {"x"}}},
                              {{"api-key", {"new"}}, {"same", {"x"}}, {"instance", {"2"}}}),
              ElementsAre("api-key: (a secret) -> (a secret)", "instance: (default) -> 2",
                          "port: 1 -> (default)"));
}

class DeployOptionsTest : public ::testing::Test {
 protected:
  absl::Status Parse(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "vallm deploy");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    parser_ = std::make_unique<FlagParser>("vallm deploy", "");
    options_ = DeployOptions();
    AddDeployFlags(parser_->app(), options_);
    if (parser_->Parse(static_cast<int>(argv.size()), argv.data()).has_value()) {
      return absl::InvalidArgumentError("usage");
    }
    return FinishDeployOptions(parser_->app(), options_);
  }

  std::unique_ptr<FlagParser> parser_;
  DeployOptions options_;
};

TEST_F(DeployOptionsTest, TakesTheVendorsCommandLine) {
  ASSERT_OK(Parse({"--instance",
                   "1",
                   "--tensor-parallel-size",
                   "2",
                   "--image",
                   "vllm_vacc:1",
                   "--model",
                   "/m/Qwen3-30B-A3B-FP8",
                   "--port",
                   "8000",
                   "--management-port",
                   "9000",
                   "--max-batch-size-for-instance",
                   "4",
                   "--served-model-name",
                   "Qwen3",
                   "--max-model-len",
                   "65536",
                   "--enable-reasoning",
                   "--reasoning-parser",
                   "deepseek_r1",
                   "--enable-qwen3-rope-scaling",
                   "--enable-auto-tool-choice",
                   "--tool-call-parser",
                   "hermes",
                   "--devices",
                   "0-3,5,7",
                   "--allow-long-max-model-len",
                   "--enable-benchmark",
                   "--benckmark-count",
                   "3",
                   "--dry-run"}));
  EXPECT_EQ(options_.runtime, "docker");
  EXPECT_EQ(options_.name, "Qwen3");
  EXPECT_EQ(options_.serve.engine.device, "vacc");
  EXPECT_EQ(options_.serve.engine.tensor_parallel_size, 2);
  EXPECT_TRUE(options_.serve.engine.enable_qwen3_rope_scaling);
  EXPECT_TRUE(options_.serve.engine.allow_long_max_model_len);
  EXPECT_EQ(options_.benchmark_count, 3);
  EXPECT_TRUE(options_.dry_run);
}

TEST_F(DeployOptionsTest, ARecordMakesTheSameOptions) {
  setenv("VALLM_MAX_LOGPROBS", "7", 1);
  ASSERT_OK(Parse({"models/qwen", "--instance=3", "--api-key=a,b", "--no-enable-reasoning",
                   "--default-chat-template-kwargs={\"enable_thinking\": false}",
                   "--kv-cache-memory=2GiB", "--log-dir=logs", "--served-model-name=x",
                   "--served-model-name=y", "--device=cpu", "--start-timeout=5", "--name=z"}));
  const FlagValues flags = GivenFlags(parser_->app(), options_);
  EXPECT_EQ(flags.at("model"),
            std::vector<std::string>{std::filesystem::current_path().string() + "/models/qwen"});
  EXPECT_EQ(flags.count("start-timeout"), 0U);
  EXPECT_EQ(flags.count("name"), 0U);
  setenv("VALLM_MAX_LOGPROBS", "9", 1);  // of another shell: the record decides
  setenv("VALLM_PORT", "1234", 1);
  const auto options = OptionsOf({.runtime = "host", .flags = flags, .engine_ports = {}});
  unsetenv("VALLM_MAX_LOGPROBS");
  unsetenv("VALLM_PORT");
  ASSERT_OK(options);
  EXPECT_EQ(options->serve.port, 8000);
  EXPECT_EQ(options->serve.max_logprobs, 7);
  EXPECT_EQ(options->serve.instances, 3);
  EXPECT_EQ(options->serve.engine.kv_cache_bytes, int64_t{2} << 30);
  EXPECT_FALSE(options->serve.enable_reasoning);
  EXPECT_THAT(options->serve.api_keys, ElementsAre("a", "b"));
  EXPECT_THAT(options->serve.served_model_names, ElementsAre("x", "y"));
  EXPECT_EQ(options->serve.default_chat_template_kwargs, "{\"enable_thinking\": false}");
  EXPECT_EQ(options->log_dir, options_.log_dir);
  EXPECT_EQ(options->log_dir, std::filesystem::current_path().string() + "/logs");
  EXPECT_EQ(options->serve.engine.log_dir, "");
}

TEST_F(DeployOptionsTest, RefusesWhatContradictsItself) {
  EXPECT_THAT(Parse({"m", "--image=i", "--runtime=host"}),
              StatusIs(absl::StatusCode::kInvalidArgument, "--image"));
  EXPECT_THAT(Parse({"m", "--runtime=docker"}),
              StatusIs(absl::StatusCode::kInvalidArgument, "needs --image"));
  EXPECT_THAT(Parse({"m", "--device=cpu", "--devices=0"}),
              StatusIs(absl::StatusCode::kInvalidArgument, "--devices"));
}

class ChangePlanTest : public DeploymentTest {
 protected:
  std::vector<SupervisedChild> Children(const std::string& dies = "", int instances = 2,
                                        int ranks = 2, int batch = 4,
                                        const std::string& model = "/m") const {
    DeployOptions options;
    options.serve.engine.model_dir = model;
    options.serve.served_model_names = {"m"};
    options.serve.instances = instances;
    options.serve.engine.tensor_parallel_size = ranks;
    options.serve.engine.max_num_batched_tokens = 100 * batch;
    options.serve.engine.threads_per_worker = 1;
    options.serve.engine.device = dies.empty() ? "mock" : "vacc";
    options.devices = dies;
    ShowDevices(options);
    DeploymentRecord record{
        .runtime = "host", .flags = {}, .tokenizer_port = 1, .engine_ports = {}};
    for (int i = 0; i < instances; ++i) record.engine_ports.push_back(10 + i);
    auto children = HostChildren(*Deployment::At(dir_, "x"), record, options,
                                 {"/bin/t", "/bin/e", "/bin/g"}, "key", {});
    unsetenv("VACC_VISIBLE_DEVICES");
    return children;
  }
};

TEST_F(ChangePlanTest, NothingChangesNothing) {
  EXPECT_TRUE(PlanChange(Children(), Children()).empty());
}

TEST_F(ChangePlanTest, AnEnginesFlagRestartsTheEngines) {
  const ChangePlan plan = PlanChange(Children(), Children("", 2, 2, 8));
  EXPECT_FALSE(plan.replace);
  EXPECT_THAT(plan.changed, ElementsAre("engine-0", "engine-1"));
  EXPECT_THAT(plan.ChangedEngines(), ElementsAre("engine-0", "engine-1"));
}

TEST_F(ChangePlanTest, InstancesComeAndGoByThemselves) {
  const ChangePlan more = PlanChange(Children("", 2), Children("", 4));
  EXPECT_THAT(more.added, ElementsAre("engine-2", "engine-3"));
  EXPECT_TRUE(more.changed.empty());
  const ChangePlan fewer = PlanChange(Children("", 2), Children("", 1));
  EXPECT_THAT(fewer.removed, ElementsAre("engine-1"));
  EXPECT_TRUE(fewer.changed.empty());
}

TEST_F(ChangePlanTest, AnotherModelReplacesEverything) {
  const ChangePlan plan = PlanChange(Children(), Children("", 2, 2, 4, "/other"));
  EXPECT_TRUE(plan.replace);
  EXPECT_EQ(plan.reason, "another model");
}

TEST_F(ChangePlanTest, ADieHasOneEngineAtATime) {
  // Engine 1 goes from 2, 3 to 4, 5; engine 0 takes them.
  const ChangePlan overlap = PlanChange(Children("0-3"), Children("2-5"));
  EXPECT_TRUE(overlap.replace);
  EXPECT_EQ(overlap.reason, "die 2 goes from engine-1 to engine-0");
  const ChangePlan apart = PlanChange(Children("0-3"), Children("0,1,4,5"));
  EXPECT_FALSE(apart.replace);
  EXPECT_THAT(apart.changed, ElementsAre("engine-1"));
}

TEST_F(ChangePlanTest, EnginesLogUnderTheVendorsNames) {
  const auto children = Children();
  EXPECT_EQ(children[1].spec.output_path, dir_ + "/x/logs/llm_serve_0.log");
  EXPECT_EQ(children[0].spec.output_path, dir_ + "/x/logs/tokenizer.log");
  for (const std::string& argument : children[3].spec.argv) {
    EXPECT_EQ(argument.find("--engine="), std::string::npos) << "the file names them";
    EXPECT_EQ(argument.find("key"), std::string::npos) << "process lists would show it";
  }
}

}  // namespace
}  // namespace vallm::tools
