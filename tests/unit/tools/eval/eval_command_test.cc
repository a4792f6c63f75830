// Every key of a configuration and every flag of `vallm eval`, `compare` and `score` has its
// effect: in what a server gets, or in what is left and printed.
#include "tools/eval/eval_command.h"

#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/command_run.h"
#include "tests/testing/fake_openai.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/test_certificates.h"
#include "tools/eval/config/eval_config.h"
#include "tools/eval/run/record.h"

namespace vallm::eval {
namespace {

using nlohmann::ordered_json;
using testing::CommandRun;
using ::testing::Each;
using testing::FakeOpenAi;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
namespace fs = std::filesystem;

const std::string kData = VALLM_TEST_DATA "/eval/";

struct EvalRun : CommandRun {
  std::vector<FakeOpenAi::Request> requests;
  ordered_json results;  // results.json, or null

  const ordered_json& body() const { return requests.at(0).body; }
  const ordered_json& dataset() const { return results["datasets"][0]; }
};

struct KeyCase {
  ordered_json config;  // takes the place of the base's members
  std::function<void(const EvalRun& run)> effect;
};

class EvalCommandTest : public ::testing::Test {
 protected:
  // Three questions of mmlu_pro in two subsets.
  ordered_json Base() const {
    return {
        {"model", "m"},
        {"api_url", fake_.url()},
        {"datasets", {"mmlu_pro"}},
        {"dataset_args", {{"mmlu_pro", {{"local_path", kData + "mmlu_pro"}, {"few_shot_num", 0}}}}},
        {"generation_config", {{"retry_interval", 0.01}}},
        {"work_dir", out()}};
  }
  std::string out() const { return dir_.path("out"); }

  EvalRun Run(const ordered_json& changes, const std::vector<std::string>& flags = {},
              bool keep = false) {
    ordered_json config = Base();
    if (!changes.is_null()) config.update(changes);
    if (!keep) fs::remove_all(out());
    std::vector<std::string> arguments = {dir_.Write("config.yaml", config.dump())};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    fake_.TakeRequests();
    EvalRun run{testing::RunCommand(RunEval, arguments), fake_.TakeRequests(), ordered_json()};
    std::ifstream file(out() + "/results.json");
    if (file) run.results = ordered_json::parse(file);
    return run;
  }
  // Examples of a data set: its path under tests/data.
  static ordered_json Of(const std::string& dataset) {
    return {{"datasets", {dataset}},
            {"dataset_args", {{dataset, {{"local_path", kData + dataset}}}}}};
  }

  std::vector<KeyCase> Keys() {
    const std::string other = dir_.path("other");
    return {
        {{{"model", "named"}}, [](const EvalRun& run) { EXPECT_EQ(run.body()["model"], "named"); }},
        {{{"model_id", "shown"}},
         [](const EvalRun& run) {
           EXPECT_EQ(run.body()["model"], "m");
           EXPECT_EQ(run.results["model"], "shown");
           EXPECT_THAT(run.output, HasSubstr("| shown |"));
         }},
        {{{"api_url", fake_.url() + "/deeper/chat/completions"}},
         [](const EvalRun& run) {
           EXPECT_EQ(run.requests.at(0).path, "/v1/deeper/chat/completions");
         }},
        {{{"api_key", "secret"}},
         [](const EvalRun& run) {
           EXPECT_EQ(run.requests.at(0).headers.at("authorization"), "Bearer secret");
         }},
        {Of("drop"), [](const EvalRun& run) { EXPECT_EQ(run.dataset()["name"], "drop"); }},
        {{{"dataset_args",
           {{"mmlu_pro", {{"dataset_id", kData + "mmlu_pro"}, {"few_shot_num", 0}}}}}},
         [](const EvalRun& run) { EXPECT_THAT(run.requests, SizeIs(3)); }},
        {{{"dataset_dir", kData}, {"datasets", {"aime24"}}, {"dataset_args", ordered_json()}},
         [](const EvalRun& run) { EXPECT_EQ(run.dataset()["name"], "aime24"); }},
        {{{"generation_config", {{"max_tokens", 33}, {"top_k", 5}}}},
         [](const EvalRun& run) {
           EXPECT_EQ(run.body()["max_tokens"], 33);
           EXPECT_EQ(run.body()["top_k"], 5);
         }},
        {{{"generation_config", {{"extra_body", {{"guided", true}}}}}},
         [](const EvalRun& run) {
           EXPECT_EQ(run.body()["guided"], true);
           EXPECT_FALSE(run.body().contains("extra_body"));
         }},
        {{{"generation_config", {{"n", 2}}}},
         [](const EvalRun& run) { EXPECT_THAT(run.requests, SizeIs(6)); }},
        {{{"generation_config", {{"stream", true}}}},
         [](const EvalRun& run) { EXPECT_EQ(run.body()["stream"], true); }},
        {{{"stream", true}},
         [](const EvalRun& run) {
           EXPECT_EQ(run.body()["stream"], true);
           EXPECT_EQ(run.body()["stream_options"]["include_usage"], true);
         }},
        {{{"limit", 1}}, [](const EvalRun& run) { EXPECT_THAT(run.requests, SizeIs(2)); }},
        {{{"limit", 0.5}},  // of two and of one
         [](const EvalRun& run) { EXPECT_THAT(run.requests, SizeIs(1)); }},
        {{{"work_dir", other}},
         [other](const EvalRun&) { EXPECT_TRUE(fs::exists(other + "/results.json")); }},
        {{{"repeats", 2}}, [](const EvalRun& run) { EXPECT_THAT(run.requests, SizeIs(6)); }},
        {{{"return_token_ids", true}},
         [](const EvalRun& run) { EXPECT_EQ(run.body()["return_token_ids"], true); }},
    };
  }

  FakeOpenAi fake_;
  testing::TestDirectory dir_;
};

TEST_F(EvalCommandTest, Keys) {
  for (const KeyCase& one : Keys()) {
    SCOPED_TRACE(one.config.dump());
    const EvalRun run = Run(one.config);
    EXPECT_EQ(run.exit_code, 0) << run.errors;
    one.effect(run);
  }
}

TEST_F(EvalCommandTest, FiltersComeBeforeTheVerdict) {
  EXPECT_GT(Run({}).dataset()["score"], 0);
  ordered_json args = Base()["dataset_args"];
  args["mmlu_pro"]["filters"] = {{"extract", "nowhere in it"}};
  EXPECT_EQ(Run({{"dataset_args", args}}).dataset()["score"], 0);
}

TEST_F(EvalCommandTest, SeedShufflesChoices) {
  const auto prompts = [&](int seed) {
    ordered_json config = Of("gpqa");
    config["seed"] = seed;
    config["eval_batch_size"] = 1;
    ordered_json all;
    for (const auto& request : Run(config).requests) all.push_back(request.body["messages"]);
    return all;
  };
  EXPECT_EQ(prompts(1), prompts(1));
  EXPECT_NE(prompts(1), prompts(2));
}

TEST_F(EvalCommandTest, EvalBatchSizeIsHowManyAreAskedAtATime) {
  fake_.gather = 3;  // with fewer the test waits, and fails
  Run({{"eval_batch_size", 3}});
  EXPECT_EQ(fake_.peak(), 3);
  FakeOpenAi one_by_one;
  one_by_one.delay = absl::Milliseconds(20);
  Run({{"eval_batch_size", 1}, {"api_url", one_by_one.url()}});
  EXPECT_EQ(one_by_one.peak(), 1);
}

// The wait between two pieces of an answer.
TEST_F(EvalCommandTest, Timeout) {
  fake_.delay = absl::Seconds(1);
  for (const ordered_json& config :
       {ordered_json{{"timeout", 0.1}, {"generation_config", {{"retries", 0}}}},
        ordered_json{{"generation_config", {{"timeout", 0.1}, {"retries", 0}}}}}) {
    EXPECT_EQ(Run(config).exit_code, 1) << config;
  }
  EXPECT_EQ(Run({{"timeout", 60}}).exit_code, 0);
}

TEST_F(EvalCommandTest, RetriesAndErrors) {
  const ordered_json one_try = {{"retries", 0}};
  fake_.failures = 1;
  EXPECT_EQ(Run({{"generation_config", one_try}}).exit_code, 1);
  fake_.failures = 1;
  EXPECT_EQ(Run({}).exit_code, 0);
  fake_.failures = 1;
  const EvalRun ignored = Run({{"generation_config", one_try}, {"ignore_errors", true}});
  EXPECT_EQ(ignored.dataset()["failed"], 1);
  EXPECT_EQ(ignored.dataset()["sample_num"], 2);
}

TEST_F(EvalCommandTest, RefusesWhatWouldHaveNoEffect) {
  for (const char* key :
       {"eval_backend", "model_task", "dataset_hub", "stage", "judge_strategy", "judge_worker_num",
        "judge_model_args", "analysis_report", "use_cache", "model_args", "chat_template",
        "template_type", "mem_cache", "outputs", "eval_config", "debug", "dry_run", "eval_type"}) {
    EXPECT_THAT(Run({{key, "something"}}).errors, HasSubstr(key)) << key;
  }
  for (const char* key : {"model", "messages", "stream_options", "extra_headers", "extra_query"}) {
    EXPECT_THAT(Run({{"generation_config", {{key, "something"}}}}).errors,
                HasSubstr(std::string("generation_config.") + key));
  }
  ordered_json args = Base()["dataset_args"];
  args["mmlu_pro"]["few_shot_random"] = true;
  EXPECT_THAT(Run({{"dataset_args", args}}).errors, HasSubstr("few_shot_random"));
}

TEST_F(EvalCommandTest, NoKeyIsWithoutATest) {
  const std::string message = Run({{"nosuch", 1}}).errors;
  const size_t begin = message.find("there is ") + 9;
  const std::set<std::string> known =
      absl::StrSplit(message.substr(begin, message.find('\n') - begin), ", ");
  std::set<std::string> tested = {"eval_batch_size", "seed", "timeout", "ignore_errors",
                                  "eval_type"};
  for (const KeyCase& one : Keys()) {
    for (const auto& [key, value] : one.config.items()) tested.insert(key);
  }
  EXPECT_EQ(known, tested) << message;
}

TEST_F(EvalCommandTest, Flags) {
  EXPECT_EQ(Run({}, {"--model=other"}).body()["model"], "other");
  EXPECT_EQ(Run({{"api_url", "http://127.0.0.1:1"}}, {"--api-url=" + fake_.url()}).exit_code, 0);
  EXPECT_EQ(Run({}, {"--api-key=k"}).requests.at(0).headers.at("authorization"), "Bearer k");
  EXPECT_THAT(Run({}, {"--limit=1"}).requests, SizeIs(2));
  const std::string other = dir_.path("elsewhere");
  Run({}, {"--work-dir=" + other});
  EXPECT_TRUE(fs::exists(other + "/results.json"));
  const EvalRun dry = Run({}, {"--dry-run"});
  EXPECT_THAT(dry.requests, SizeIs(0));
  EXPECT_THAT(dry.output, HasSubstr("3 questions"));
  Run({});
  EXPECT_THAT(Run({}, {}, /*keep=*/true).requests, SizeIs(0));
  EXPECT_THAT(Run({}, {"--fresh"}, /*keep=*/true).requests, SizeIs(3));
  EXPECT_THAT(testing::RunCommand(RunEval, {"--list"}).output, HasSubstr("live_code_bench"));
  fake_.gather = 3;
  Run({{"eval_batch_size", 1}}, {"--eval-batch-size=3"});
  EXPECT_EQ(fake_.peak(), 3);
  EXPECT_EQ(testing::FlagsOf(RunEval),
            (std::set<std::string>{"--model", "--api-url", "--api-key", "--limit", "--work-dir",
                                   "--dry-run", "--fresh", "--list", "--eval-batch-size"}));
}

TEST_F(EvalCommandTest, FlagsOfCompare) {
  Run({}, {"--work-dir=" + dir_.path("a")});
  fake_.answer = "The answer is (A)";
  Run({}, {"--work-dir=" + dir_.path("b")});
  const auto compare = [&](const std::string& flag) {
    return testing::RunCommand(RunCompare, {dir_.path("a"), dir_.path("b"), flag}).output;
  };
  EXPECT_TRUE(ordered_json::accept(compare("--json")));
  EXPECT_THAT(compare("--show=5"), HasSubstr("took 'I' and 'A'"));
  EXPECT_THAT(compare("--show=0"), Not(HasSubstr("took ")));
  const auto scores = [](const std::string& samples) {
    return testing::RunCommand(RunCompare, {"--scores", "0.5", "0.7", samples}).output;
  };
  EXPECT_THAT(scores("--samples=20"), HasSubstr("noise"));
  EXPECT_THAT(scores("--samples=2000"), HasSubstr("more than chance"));
  EXPECT_EQ(testing::FlagsOf(RunCompare),
            (std::set<std::string>{"--scores", "--samples", "--show", "--json"}));
}

TEST_F(EvalCommandTest, FlagsOfScore) {
  const auto score = [&](const std::string& dataset, const std::string& output,
                         const std::vector<std::string>& flags) {
    const ordered_json row = {
        {"problem", "?"}, {"question", "?"}, {"answer", "204"}, {"output", output}};
    std::vector<std::string> arguments = {dataset, dir_.Write("rows.jsonl", row.dump() + "\n")};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const CommandRun run = testing::RunCommand(RunScore, arguments);
    EXPECT_EQ(run.exit_code, 0) << run.errors;
    return ordered_json::parse(run.output)["scores"];
  };
  const std::string with_unit = "\\boxed{204厘米}";
  EXPECT_EQ(score("aime24", with_unit, {})["AveragePass@1"][0], 1);
  EXPECT_EQ(score("aime24", with_unit, {"--strict"})["AveragePass@1"][0], 0);
  EXPECT_EQ(score("aime24", with_unit, {"--extra-params={\"strict\": true}"})["AveragePass@1"][0],
            0);
  const std::string thought = "It is \\boxed{204}.</think>No: 3";
  EXPECT_EQ(score("aime24", thought, {})["AveragePass@1"][0], 1);
  EXPECT_EQ(score("aime24", thought, {"--remove-until=</think>"})["AveragePass@1"][0], 0);
  EXPECT_FALSE(score("general_qa", "204", {}).contains("ExactMatch"));
  EXPECT_EQ(score("general_qa", "204", {"--metric=ExactMatch"})["ExactMatch"][0], 1);
  EXPECT_EQ(testing::FlagsOf(RunScore),
            (std::set<std::string>{"--metric", "--remove-until", "--extra-params", "--strict"}));
}

}  // namespace
}  // namespace vallm::eval
