#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tools/eval/datasets/dataset.h"
#include "tools/eval/datasets/prompt_template.h"

namespace vallm::eval {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::IsOk;
using ::testing::StartsWith;
using testing::StatusIs;

struct Loaded {
  std::unique_ptr<Dataset> dataset;
  std::vector<Sample> samples;

  std::string Prompt(size_t i) const {
    return samples.at(i).messages->back()["content"].get<std::string>();
  }
  // The values of the first metric, with the output given.
  std::vector<double> Score(size_t i, const std::string& output) const {
    return dataset
        ->Judge(samples.at(i), {.content = output, .reasoning = "", .tool_calls = nullptr})
        .scores.at(0)
        .values;
  }
};

Loaded Load(const std::string& name, DatasetArgs args = {}) {
  if (args.local_path.empty()) args.local_path = VALLM_TEST_DATA "/eval/" + name;
  auto dataset = MakeDataset(name, args, /*seed=*/42);
  EXPECT_THAT(dataset, IsOk());
  auto samples = (*dataset)->Load();
  EXPECT_THAT(samples, IsOk());
  return {.dataset = *std::move(dataset), .samples = *std::move(samples)};
}

absl::Status LoadError(const std::string& name, const DatasetArgs& args) {
  auto dataset = MakeDataset(name, args, 42);
  if (!dataset.ok()) return dataset.status();
  return (*dataset)->Load().status();
}

TEST(DatasetsTest, GeneralMcq) {
  DatasetArgs args;
  args.subset_list = {"cluewsc"};
  args.eval_split = "test";
  args.prompt_template = "请直接回答A或B\n\n{query}";
  const Loaded set = Load("general_mcq", args);
  ASSERT_EQ(set.samples.size(), 3U);
  EXPECT_EQ(set.Prompt(0),
            "请直接回答A或B\n\n问题：小明把书借给了小红，因为她要考试。\n"
            "这里的“她”指的是“小红”吗？\nA. 正确\nB. 错误\n答案:");
  EXPECT_THAT(set.Score(0, "A"), ElementsAre(1));
  EXPECT_THAT(set.Score(1, "A"), ElementsAre(0));
  args.few_shot_num = 1;
  EXPECT_THAT(Load("general_mcq", args).Prompt(0),
              StartsWith("请直接回答A或B\n\n问题：水会结冰吗？\nA. 会\nB. 不会\n答案: A问题："));
}

TEST(DatasetsTest, GeneralMcqNamesTheRow) {
  DatasetArgs args;
  args.local_path = VALLM_TEST_DATA "/eval/general_qa";
  args.subset_list = {"sums"};
  EXPECT_THAT(LoadError("general_mcq", args),
              StatusIs(absl::StatusCode::kInvalidArgument, "row 1 of subset 'sums'"));
}

TEST(DatasetsTest, GeneralQa) {
  DatasetArgs args;
  args.subset_list = {"sums"};
  const Loaded overlap = Load("general_qa", args);
  EXPECT_EQ(overlap.Prompt(0), "请回答问题\n2 + 3?");
  EXPECT_EQ(overlap.samples[1].messages->size(), 4U);  // system, one turn, the question
  EXPECT_EQ((*overlap.samples[2].request)["chat_template_kwargs"]["enable_thinking"], false);
  EXPECT_NEAR(overlap.Score(0, "2 + 3 = 5")[0], 1, 1e-6);
  args.metric_list = {"Check"};
  const Loaded checked = Load("general_qa", args);
  EXPECT_THAT(checked.Score(0, "It is 5."), ElementsAre(1));
  EXPECT_THAT(checked.Score(2, "hello"), ElementsAre(0));
  args.metric_list = {"Vibes"};
  EXPECT_THAT(LoadError("general_qa", args), StatusIs(absl::StatusCode::kInvalidArgument, "Vibes"));
}

TEST(DatasetsTest, MmluPro) {
  DatasetArgs args;
  args.few_shot_num = 1;
  args.subset_list = {"math"};
  const Loaded set = Load("mmlu_pro", args);
  ASSERT_EQ(set.samples.size(), 2U);
  EXPECT_EQ(set.samples[0].id, "71");
  EXPECT_THAT(set.Prompt(1),
              HasSubstr("about math. Think step by step and then finish your answer with \"the "
                        "answer is (X)\" where X is the correct letter choice.\nQ: What is 1 + 1?\n"
                        "Options are:\n(A): one\n"));
  EXPECT_THAT(set.Prompt(1), HasSubstr("The answer is (B).\n\nQ: What is 2 * 2?\nOptions are:\n"));
  EXPECT_THAT(set.Score(0, "The answer is (I)"), ElementsAre(1));
  args.subset_list = {"alchemy"};
  args.local_path = VALLM_TEST_DATA "/eval/mmlu_pro";
  EXPECT_THAT(LoadError("mmlu_pro", args), StatusIs(absl::StatusCode::kNotFound, "alchemy"));
}

TEST(DatasetsTest, Ceval) {
  DatasetArgs args;
  args.few_shot_num = 1;
  const Loaded set = Load("ceval", args);  // the one subject that is there
  ASSERT_EQ(set.samples.size(), 1U);
  EXPECT_THAT(set.Prompt(0), StartsWith("以下是中国关于逻辑学考试的单项选择题"));
  EXPECT_THAT(set.Prompt(0), HasSubstr("答案: A问题：如果下雨"));
  EXPECT_THAT(set.Prompt(0), ::testing::EndsWith("D. 都不对\n答案: "));
  EXPECT_THAT(set.Score(0, "答案是：B"), ElementsAre(1));
}

TEST(DatasetsTest, GpqaShufflesTheSameWayEachTime) {
  const Loaded a = Load("gpqa"), b = Load("gpqa");
  ASSERT_EQ(a.samples.size(), 2U);
  EXPECT_EQ(a.Prompt(0), b.Prompt(0));
  EXPECT_THAT(a.Prompt(1), HasSubstr(") carbon dioxide \n"));  // without its bracket
  EXPECT_THAT(a.Prompt(0), HasSubstr("(" + a.samples[0].target + ") -1\n"));
  EXPECT_THAT(a.Score(0, "So \\boxed{" + a.samples[0].target + "}"), ElementsAre(1));
  DatasetArgs args;
  args.local_path = VALLM_TEST_DATA "/eval/gpqa";
  args.few_shot_num = 5;
  EXPECT_THAT(LoadError("gpqa", args),
              StatusIs(absl::StatusCode::kNotFound, "chain_of_thought.txt"));
}

TEST(DatasetsTest, Math) {
  const Loaded set = Load("math_500");
  ASSERT_EQ(set.samples.size(), 3U);
  EXPECT_EQ(set.samples[1].subset, "Level 2");
  EXPECT_THAT(set.Prompt(0), ::testing::EndsWith("within \\boxed{}."));
  EXPECT_THAT(set.Score(0, "\\boxed{0.8333}"), ElementsAre(1));
  EXPECT_THAT(set.Score(1, "x is \\boxed{2, -2}"), ElementsAre(1));
  EXPECT_THAT(set.Score(2, "\\boxed{(x+1)(x+1)}"), ElementsAre(1));
  EXPECT_THAT(set.Score(2, "\\boxed{x+1}"), ElementsAre(0));
  const Loaded aime = Load("aime24");
  EXPECT_THAT(aime.Score(1, "\\boxed{25}"), ElementsAre(1));
}

TEST(DatasetsTest, MathToleratesUnitsUnlessStrict) {
  EXPECT_THAT(Load("aime24").Score(0, "\\boxed{204厘米}"), ElementsAre(1));
  DatasetArgs args;
  args.extra_params = ShareJson({{"strict", true}});
  EXPECT_THAT(Load("aime24", args).Score(0, "\\boxed{204厘米}"), ElementsAre(0));
}

TEST(DatasetsTest, DropInBothLayouts) {
  const Loaded set = Load("drop");
  ASSERT_EQ(set.samples.size(), 3U);
  EXPECT_EQ(set.samples[1].target, "Jason Hanson | Hanson");
  EXPECT_THAT(set.Score(0, "14 + 10.\nAnswer: 24"), ElementsAre(1));
  EXPECT_THAT(set.Score(1, "Answer: Hanson"), ElementsAre(1));
  DatasetArgs args;
  args.local_path = VALLM_TEST_DATA "/eval/drop_table";
  const Loaded table = Load("drop", args);
  EXPECT_EQ(table.samples.at(0).target, "3 May 1998");
  EXPECT_THAT(table.Score(0, "Answer: May 3 1998"), ElementsAre(0));
}

TEST(DatasetsTest, IfEval) {
  const Loaded set = Load("ifeval");
  const Verdict verdict = set.dataset->Judge(
      set.samples.at(0),
      {.content = "Here:\n* one, two\n* three", .reasoning = "", .tool_calls = nullptr});
  std::map<std::string, std::vector<double>> scores;
  for (const Score& score : verdict.scores) scores[score.metric] = score.values;
  EXPECT_THAT(scores["prompt_level_strict_acc"], ElementsAre(0));
  EXPECT_THAT(scores["inst_level_strict_acc"], ElementsAre(1, 0));
  EXPECT_EQ(verdict.note, "not followed: punctuation:no_comma");
}

TEST(DatasetsTest, LiveCodeBench) {
  DatasetArgs args;
  args.local_path = VALLM_TEST_DATA "/eval/live_code_bench";
  if (absl::IsFailedPrecondition(MakeDataset("live_code_bench", args, 0).status())) {
    GTEST_SKIP() << "no Python to run programs";
  }
  const Loaded set = Load("live_code_bench", args);
  ASSERT_EQ(set.samples.size(), 2U);
  EXPECT_THAT(set.Prompt(1), HasSubstr("starter code"));
  EXPECT_THAT(set.Score(0, "```python\ninput()\nprint(sum(map(int, input().split())))\n```"),
              ElementsAre(1));
  EXPECT_THAT(set.Score(0, "```python\nprint(3)\n```"), ElementsAre(0));
  args.extra_params = ShareJson({{"start_date", "2024-03-01"}});
  EXPECT_EQ(Load("live_code_bench", args).samples.size(), 1U);
}

TEST(DatasetsTest, UnknownNamesAndParameters) {
  EXPECT_THAT(MakeDataset("mmlu", {}, 0),
              StatusIs(absl::StatusCode::kInvalidArgument, "general_mcq, general_qa, mmlu_pro"));
  DatasetArgs args;
  args.extra_params = ShareJson({{"lenient", true}});
  EXPECT_THAT(MakeDataset("aime24", args, 0),
              StatusIs(absl::StatusCode::kInvalidArgument, "extra_params.lenient"));
}

TEST(FiltersTest, ApplyInOrder) {
  DatasetArgs args;
  args.filters = {{"remove_until", "</think>"}, {"extract", "[A-Z]+"}};
  EXPECT_EQ(Filtered(args, "<think>A</think> x</think> so BC."), "BC");
  EXPECT_EQ(Filtered({}, "same"), "same");
}

TEST(PromptTemplateTest, FillsNamesAndBraces) {
  EXPECT_EQ(*FillTemplate("{{{query}}}", {{"query", "{x}"}}), "{{x}}");
  EXPECT_THAT(FillTemplate("{quary}", {{"query", ""}}),
              StatusIs(absl::StatusCode::kInvalidArgument, "{query}"));
  EXPECT_FALSE(FillTemplate("{query", {{"query", ""}}).ok());
  EXPECT_FALSE(FillTemplate("query}", {{"query", ""}}).ok());
}

}  // namespace
}  // namespace vallm::eval
