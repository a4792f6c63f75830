// Every key of dataset_args has its effect on every data set, or is refused by name.
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tools/eval/config/eval_config.h"
#include "tools/eval/datasets/dataset.h"

namespace vallm::eval {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using ::testing::SizeIs;
using testing::StatusIs;
namespace fs = std::filesystem;

class DatasetArgsTest : public ::testing::TestWithParam<DatasetKind> {
 protected:
  void SetUp() override {
    // A copy to which examples are added, where the fixture has none.
    folder_ = ::testing::TempDir() + "dataset_args_" + GetParam().name;
    fs::remove_all(folder_);
    fs::copy(std::string(VALLM_TEST_DATA "/eval/") + GetParam().name, folder_,
             fs::copy_options::recursive);
    if (name() == "drop") fs::copy(folder_ + "/drop_dataset_dev.json", folder_ + "/train.json");
    const absl::Status status = MakeDataset(name(), Usual(), 42).status();
    if (absl::IsFailedPrecondition(status)) GTEST_SKIP() << status;
  }
  void TearDown() override { fs::remove_all(folder_); }

  static std::string name() { return GetParam().name; }
  DatasetArgs Usual() const {
    DatasetArgs args;
    args.local_path = folder_;
    args.few_shot_num = 0;
    if (name() == "general_mcq") {
      args.subset_list = {"cluewsc"};
      args.eval_split = "test";
    }
    if (name() == "general_qa") args.subset_list = {"questions"};
    return args;
  }
  static absl::StatusOr<std::vector<Sample>> Load(const DatasetArgs& args) {
    auto dataset = MakeDataset(name(), args, 42);
    if (!dataset.ok()) return dataset.status();
    return (*dataset)->Load();
  }
  static nlohmann::ordered_json Messages(const DatasetArgs& args) {
    const auto samples = Load(args);
    EXPECT_THAT(samples, IsOk());
    if (!samples.ok()) return {{{"role", ""}, {"content", ""}}};
    return *samples->at(0).messages;
  }
  static std::string Prompt(const DatasetArgs& args) { return Messages(args).back()["content"]; }
  static void IsRefused(const DatasetArgs& args, const std::string& key) {
    EXPECT_THAT(Load(args), StatusIs(absl::StatusCode::kInvalidArgument, key));
  }

  std::string folder_;
};

TEST_P(DatasetArgsTest, LocalPath) {
  DatasetArgs args = Usual();
  args.local_path = "/nowhere";
  EXPECT_THAT(Load(args), StatusIs(absl::StatusCode::kNotFound, "/nowhere"));
}

TEST_P(DatasetArgsTest, SubsetList) {
  DatasetArgs args = Usual();
  args.subset_list = {"nosuch"};
  const absl::Status status = Load(args).status();
  EXPECT_THAT(std::string(status.message()),
              ::testing::AnyOf(HasSubstr("nosuch"), HasSubstr("subset_list")));
  EXPECT_FALSE(status.ok());
}

TEST_P(DatasetArgsTest, EvalSplit) {
  DatasetArgs args = Usual();
  args.eval_split = "nosuch";
  EXPECT_THAT(Load(args), StatusIs(absl::StatusCode::kNotFound, "nosuch"));
}

TEST_P(DatasetArgsTest, FewShotNumAndTrainSplit) {
  DatasetArgs args = Usual();
  const std::string without = Prompt(args);
  args.few_shot_num = 1;
  if (!GetParam().train_split) {
    IsRefused(args, "few_shot_num");
    args.few_shot_num = 0;
    args.train_split = "train";
    return IsRefused(args, "train_split");
  }
  // At least as long: the example is in it, or there is none of this subject.
  EXPECT_GE(Prompt(args).size(), without.size());
  args.train_split = "nosuch";
  EXPECT_THAT(Load(args), StatusIs(absl::StatusCode::kNotFound, "nosuch"));
  // A file is the questions: they must not become their own examples.
  args.local_path = folder_ + "/questions.jsonl";
  fs::copy(VALLM_TEST_DATA "/eval/mmlu_pro/test.jsonl", args.local_path);
  if (name() == "mmlu_pro") IsRefused(args, "few_shot_num");
}

TEST_P(DatasetArgsTest, PromptTemplate) {
  DatasetArgs args = Usual();
  args.prompt_template = "Only this";
  if (!GetParam().prompt_template) return IsRefused(args, "prompt_template");
  EXPECT_EQ(Prompt(args), "Only this");
}

TEST_P(DatasetArgsTest, QueryTemplate) {
  DatasetArgs args = Usual();
  args.query_template = "Asked: {question}";
  if (!GetParam().query_template) return IsRefused(args, "query_template");
  EXPECT_THAT(Prompt(args), HasSubstr("Asked: "));
}

TEST_P(DatasetArgsTest, SystemPrompt) {
  DatasetArgs args = Usual();
  args.system_prompt = "Be brief";
  const auto messages = Messages(args);
  EXPECT_EQ(messages[0]["role"], "system");
  EXPECT_EQ(messages[0]["content"], "Be brief");
}

TEST_P(DatasetArgsTest, MetricList) {
  DatasetArgs args = Usual();
  args.metric_list = {"nosuch"};
  IsRefused(args, "metric_list");
  if (name() == "general_qa") return;  // its Check needs rows that have one
  args.metric_list = GetParam().metrics;
  const auto dataset = MakeDataset(name(), args, 42);
  ASSERT_THAT(dataset, IsOk());
  const auto samples = (*dataset)->Load();
  const Verdict verdict =
      (*dataset)->Judge(samples->at(0), {.content = "A", .reasoning = "", .tool_calls = nullptr});
  for (size_t i = 0; i < args.metric_list.size(); ++i) {
    EXPECT_EQ(verdict.scores.at(i).metric, args.metric_list[i]);
  }
}

TEST_P(DatasetArgsTest, ExtraParams) {
  DatasetArgs args = Usual();
  args.extra_params = ShareJson({{"nosuch", 1}});
  IsRefused(args, "extra_params.nosuch");
}

INSTANTIATE_TEST_SUITE_P(, DatasetArgsTest, ::testing::ValuesIn(DatasetKinds()),
                         [](const auto& kind) { return std::string(kind.param.name); });

// Examples that are there are in the prompt.
TEST(ExamplesTest, AreOfTheSplitThatIsNamed) {
  const std::string folder = ::testing::TempDir() + "examples_test";
  fs::remove_all(folder);
  fs::create_directories(folder);
  const std::string mcq = VALLM_TEST_DATA "/eval/general_mcq/cluewsc_";
  fs::copy(mcq + "test.csv", folder + "/cluewsc_val.csv");
  fs::copy(mcq + "dev.csv", folder + "/cluewsc_shots.csv");
  DatasetArgs args;
  args.local_path = folder;
  args.subset_list = {"cluewsc"};
  args.few_shot_num = 1;
  const auto load = [&] { return (*MakeDataset("general_mcq", args, 42))->Load(); };
  EXPECT_THAT(load(), StatusIs(absl::StatusCode::kNotFound, "'dev'"));
  args.train_split = "shots";
  EXPECT_THAT(load()->at(0).messages->dump(), HasSubstr("水会结冰吗"));
  // The questions themselves are no examples, though their file has no split in its name.
  fs::rename(folder + "/cluewsc_val.csv", folder + "/cluewsc.csv");
  args.train_split = "nosuch";
  EXPECT_THAT(load(), StatusIs(absl::StatusCode::kNotFound, "nosuch"));
  fs::remove_all(folder);
}

// What judges programs.
class CodeParamsTest : public ::testing::Test {
 protected:
  // The note of judging `program`, "" where it passes.
  static std::string Note(const nlohmann::ordered_json& params, const std::string& program) {
    DatasetArgs args;
    args.local_path = VALLM_TEST_DATA "/eval/live_code_bench";
    args.extra_params = ShareJson(params);
    const auto dataset = MakeDataset("live_code_bench", args, 42);
    if (!dataset.ok()) return std::string(dataset.status().message());
    const auto samples = (*dataset)->Load();
    if (!samples.ok()) return std::string(samples.status().message());
    count_ = samples->size();
    const Verdict verdict = (*dataset)->Judge(
        samples->at(0),
        {.content = "```python\n" + program + "\n```", .reasoning = "", .tool_calls = nullptr});
    return verdict.scores.at(0).values.at(0) == 1 ? "" : verdict.note;
  }
  void SetUp() override {
    if (const std::string note = Note({}, kRight); note != "") GTEST_SKIP() << note;
  }

  static constexpr char kRight[] = "input()\nprint(sum(map(int, input().split())))";
  static size_t count_;
};
size_t CodeParamsTest::count_ = 0;

TEST_F(CodeParamsTest, HaveTheirEffect) {
  const std::string slow = std::string("import time\ntime.sleep(0.6)\n") + kRight;
  const std::string large = std::string("x = bytearray(300 << 20)\n") + kRight;
  EXPECT_EQ(Note({}, "import time\ntime.sleep(0.6)\n" + large), "");
  EXPECT_NE(Note({{"timeout", 0.3}}, slow), "");
  EXPECT_NE(Note({{"memory_mib", 128}}, large), "");
  EXPECT_THAT(Note({{"python", "/nowhere/python3"}}, kRight), HasSubstr("/nowhere/python3"));
  EXPECT_EQ(Note({{"end_date", "2024-02-15"}}, kRight), "");
  EXPECT_EQ(count_, 1U);
  EXPECT_THAT(Note({{"start_date", "2024-02-15"}}, kRight), ::testing::Ne(""));  // the other one
  EXPECT_EQ(count_, 1U);
  EXPECT_THAT(Note({{"start_date", "2024/02/15"}}, kRight), HasSubstr("extra_params.start_date"));
  EXPECT_THAT(Note({{"allow_reading_files", 1}}, kRight), HasSubstr("allow_reading_files"));
}

TEST_F(CodeParamsTest, ReleasesAreTheFirstFiles) {
  DatasetArgs args;
  args.local_path = ::testing::TempDir() + "releases_test";
  fs::remove_all(args.local_path);
  fs::create_directories(args.local_path);
  for (const char* file : {"/test.jsonl", "/test2.jsonl"}) {
    fs::copy(VALLM_TEST_DATA "/eval/live_code_bench/test.jsonl", args.local_path + file);
  }
  const auto count = [&](const std::string& subset) {
    args.subset_list = {subset};
    return (*MakeDataset("live_code_bench", args, 42))->Load()->size();
  };
  EXPECT_EQ(count("release_v1"), 2U);
  EXPECT_EQ(count("release_v2"), 4U);
  EXPECT_EQ(count("release_latest"), 4U);
  fs::remove_all(args.local_path);
}

// The keys that the reader of configurations knows are those above, and two that
// eval_command_test and eval_config_test have: filters, dataset_id.
TEST(DatasetArgsKeysTest, NoKeyIsWithoutATest) {
  const auto config = ParseEvalConfig(
      "{model: m, api_url: u, datasets: [drop], dataset_args: {drop: {nosuch: 1}}}", "/");
  const std::string message(config.status().message());
  const std::set<std::string> known =
      absl::StrSplit(message.substr(message.find("there is ") + 9), ", ");
  EXPECT_EQ(known, (std::set<std::string>{"dataset_id", "eval_split", "extra_params",
                                          "few_shot_num", "filters", "local_path", "metric_list",
                                          "prompt_template", "query_template", "subset_list",
                                          "system_prompt", "train_split"}))
      << message;
}

}  // namespace
}  // namespace vallm::eval
