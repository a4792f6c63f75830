#include "tools/serve/child_commands.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <map>

#include "engine_service/engine_flags.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tools/serve/instance_cpus.h"

namespace vallm::tools {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;

class ChildCommands : public ::testing::Test {
 protected:
  ChildCommands() {
    options_.engine.model_dir = "dir";
    options_.served_model_names = {"n"};
    options_.engine.log_dir = "/log";
  }

  std::vector<SupervisedChild> Children() const {
    return ServiceChildren(options_, {"/bin/t", "/bin/e", "/bin/g"}, {1, {2, 3}}, {"A=b"});
  }

  ServeOptions options_;
};

TEST_F(ChildCommands, StartTheTokenizerTheEnginesAndTheGateway) {
  std::vector<std::string> names;
  std::vector<std::string> programs;
  for (const SupervisedChild& child : Children()) {
    names.push_back(child.spec.name);
    programs.push_back(child.spec.argv.front());
  }
  EXPECT_THAT(names, ElementsAre("tokenizer", "engine-0", "engine-1", "gateway"));
  EXPECT_THAT(programs, ElementsAre("/bin/t", "/bin/e", "/bin/e", "/bin/g"));
}

TEST_F(ChildCommands, ConnectTheGatewayToTheOthers) {
  const auto children = Children();
  EXPECT_THAT(children[0].spec.argv, Contains("--listen=127.0.0.1:1"));
  EXPECT_THAT(children[2].spec.argv, Contains("--listen=127.0.0.1:3"));
  EXPECT_THAT(children[3].spec.argv,
              IsSupersetOf({"--tokenizer=127.0.0.1:1", "--engine=127.0.0.1:2",
                            "--engine=127.0.0.1:3", "--served-model-name=n"}));
}

TEST_F(ChildCommands, StopTheGatewayFirstAndTheTokenizerLast) {
  const auto children = Children();
  EXPECT_LT(children[3].stop_phase, children[1].stop_phase);
  EXPECT_EQ(children[1].stop_phase, children[2].stop_phase);
  EXPECT_LT(children[1].stop_phase, children[0].stop_phase);
  EXPECT_GT(children[3].stop_grace, absl::Seconds(options_.drain_timeout_s));
}

TEST_F(ChildCommands, KeepKeysOffTheCommandLine) {
  options_.api_keys = {"k1", "k2"};
  const auto children = Children();
  EXPECT_THAT(children[3].spec.environment, ElementsAre("A=b", "VALLM_API_KEY=[k1,k2]"));
  for (const SupervisedChild& child : children) {
    EXPECT_THAT(child.spec.argv, Not(Contains(HasSubstr("k1"))));
  }
  EXPECT_THAT(children[1].spec.environment, ElementsAre("A=b"));
  options_.admin_api_keys = {"k3"};
  EXPECT_THAT(Children()[3].spec.environment, Contains("VALLM_ADMIN_API_KEY=[k3]"));
}

TEST_F(ChildCommands, HandOnWhatOnlyTheGatewayKnows) {
  options_.gateway_flags = {{"--tls-cert", "c.pem"}, {"--tls-key", ""}};
  options_.log_prompts = true;
  const auto gateway = Children()[3].spec.argv;
  EXPECT_THAT(gateway, Contains("--tls-cert=c.pem"));
  EXPECT_THAT(gateway, Not(Contains(HasSubstr("--tls-key"))));
  EXPECT_THAT(gateway, Contains("--log-prompts"));
}

TEST_F(ChildCommands, LeaveDefaultsToTheServices) {
  for (const SupervisedChild& child : Children()) {
    EXPECT_THAT(child.spec.argv, Not(Contains(HasSubstr("--max-model-len"))));
    EXPECT_THAT(child.spec.argv, Not(Contains(HasSubstr("--stall-timeout"))));
  }
  options_.engine.max_model_len = 99;
  EXPECT_THAT(Children()[1].spec.argv, Contains("--max-model-len=99"));
  options_.failover_timeout_s = 7;
  options_.stall_timeout_s = 2.5;
  EXPECT_THAT(Children()[3].spec.argv, Contains("--failover-timeout=7"));
  EXPECT_THAT(Children()[3].spec.argv, Contains("--stall-timeout=2.5"));
  options_.enable_reasoning = false;
  options_.max_tokens_overflow = "reject";
  options_.force_include_usage = true;
  options_.strict_params = true;
  options_.trust_request_chat_template = true;
  EXPECT_THAT(
      Children()[3].spec.argv,
      IsSupersetOf({"--no-enable-reasoning", "--max-tokens-overflow=reject",
                    "--force-include-usage", "--strict-params", "--trust-request-chat-template"}));
}

TEST_F(ChildCommands, PassRoutingOnToTheGateway) {
  EXPECT_THAT(Children()[3].spec.argv, Contains("--routing-policy=prefix_aware"));
  options_.routing_policy = "least_load";
  options_.background_tasks = "off";
  options_.background_task_markers = {"a b", "c"};
  const std::vector<std::string> argv = Children()[3].spec.argv;
  for (const char* argument : {"--routing-policy=least_load", "--background-tasks=off",
                               "--background-task-marker=a b", "--background-task-marker=c"}) {
    EXPECT_THAT(argv, Contains(argument));
  }
}

// A flag of the engine that serve takes and does not pass on would be accepted and ignored.
TEST_F(ChildCommands, PassOnEveryFlagOfTheEngine) {
  const std::map<std::string, std::string> values = {{"device", "cpu"},
                                                     {"cpu-isa", "avx2"},
                                                     {"kv-cache-dtype", "bfloat16"},
                                                     {"rope-scaling", "{\"a\": 1}"},
                                                     {"worker-binary", "/bin/w"},
                                                     {"worker-cpus", "nobind"}};
  CLI::App app;
  engine::AddEngineFlags(app, options_.engine);
  std::vector<std::string> expected;
  std::vector<std::string> arguments;
  for (const CLI::Option* option : app.get_options()) {
    const std::string name = option->get_lnames().front();
    if (name == "help") continue;
    std::string argument = "--" + name;
    const auto value = values.find(name);
    if (option->get_expected_min() > 0)
      argument += "=" + (value != values.end() ? value->second : "7");
    arguments.push_back(argument);
    if (name != "max-queue-size") expected.push_back(argument);
  }
  EXPECT_GT(expected.size(), 12u);
  std::reverse(arguments.begin(), arguments.end());
  app.parse(arguments);
  EXPECT_THAT(Children()[1].spec.argv, IsSupersetOf(expected));
  EXPECT_THAT(Children()[3].spec.argv, Contains("--max-queue-size=7"));
  EXPECT_THAT(Children()[3].spec.argv, Contains("--priority-ageing=7"));
}

TEST_F(ChildCommands, ShareTheCoresOut) {
  EXPECT_THAT(Children()[1].spec.argv, Not(Contains(HasSubstr("--threads-per-worker"))));
  options_.instances = 2;
  EXPECT_THAT(Children()[1].spec.argv, Contains(HasSubstr("--threads-per-worker=")));
  options_.engine.threads_per_worker = 7;
  EXPECT_THAT(Children()[1].spec.argv, Contains("--threads-per-worker=7"));
}

TEST_F(ChildCommands, BindInstancesToDisjointCpus) {
  options_.engine.worker_cpus = "0|1|2|3";
  options_.engine.tensor_parallel_size = 2;
  options_.instances = 2;
  EXPECT_THAT(Children()[1].spec.argv, Contains("--worker-cpus=0|1"));
  EXPECT_THAT(Children()[2].spec.argv, Contains("--worker-cpus=2|3"));
  options_.engine.worker_cpus = "nobind";
  EXPECT_THAT(Children()[2].spec.argv, Contains("--worker-cpus=nobind"));
  // More workers than this machine has CPUs.
  options_.engine.worker_cpus = "auto";
  options_.engine.threads_per_worker = 1000;
  EXPECT_THAT(Children()[1].spec.argv, Contains("--worker-cpus=nobind"));
  options_.instances = 1;
  EXPECT_THAT(Children()[1].spec.argv, Contains("--worker-cpus=auto"));
}

TEST_F(ChildCommands, CheckTheCpusOfAllInstancesTogether) {
  options_.engine.worker_cpus = "0|0";
  options_.instances = 2;
  EXPECT_THAT(CheckWorkerCpus(options_),
              testing::StatusIs(absl::StatusCode::kInvalidArgument, "CPU 0 is given to two ranks"));
  options_.engine.worker_cpus = "0";
  EXPECT_THAT(CheckWorkerCpus(options_),
              testing::StatusIs(absl::StatusCode::kInvalidArgument, "there are 2"));
  options_.instances = 1;
  EXPECT_OK(CheckWorkerCpus(options_));
}

TEST_F(ChildCommands, GiveEveryEngineDiesOfItsOwn) {
  const auto has = [](const SupervisedChild& child, const std::string& dies) {
    return std::ranges::find(child.spec.environment, "VACC_VISIBLE_DEVICES=" + dies) !=
           child.spec.environment.end();
  };
  setenv("VACC_VISIBLE_DEVICES", "8-10,3,5", 1);
  options_.instances = 2;
  options_.engine.tensor_parallel_size = 2;
  EXPECT_THAT(Children()[1].spec.environment, ElementsAre("A=b")) << "not on CPUs";
  options_.engine.device = "vacc";
  EXPECT_TRUE(has(Children()[1], "8,9"));
  EXPECT_TRUE(has(Children()[2], "10,3"));
  EXPECT_THAT(Children()[3].spec.environment, ElementsAre("A=b"));
  unsetenv("VACC_VISIBLE_DEVICES");
  EXPECT_TRUE(has(Children()[1], "0,1"));
  EXPECT_TRUE(has(Children()[2], "2,3"));
}

TEST(ChildEnvironment, LeavesOutTheVariablesOfServe) {
  setenv("VALLM_PORT", "1", 1);
  setenv("VALLM_VACC_PLUGIN", "/lib/x.so", 1);
  const auto environment = ChildEnvironment({"VALLM_PORT"});
  EXPECT_THAT(environment, Not(Contains("VALLM_PORT=1")));
  EXPECT_THAT(environment, Contains("VALLM_VACC_PLUGIN=/lib/x.so"));
}

}  // namespace
}  // namespace vallm::tools
