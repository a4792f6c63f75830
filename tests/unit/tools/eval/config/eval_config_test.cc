#include "tools/eval/config/eval_config.h"

#include <nlohmann/json.hpp>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::eval {
namespace {

using testing::IsOk;
using testing::StatusIs;

// The configuration of the vendor's guide, with paths.
constexpr char kGuide[] = R"(
model: Qwen3
api_url: http://127.0.0.1:8000/v1/chat/completions
api_key: EMPTY
eval_type: service
datasets: [mmlu_pro, general_mcq]
dataset_args:
  mmlu_pro: {local_path: /data/mmlu, subset_list: ['law', "math"], few_shot_num: 0}
  general_mcq:
    local_path: sets/mcq
    subset_list: [cluewsc]
    eval_split: 'test'
    prompt_template: "选\n\n{query}"
    filters: {remove_until: </think>}
eval_batch_size: 32
generation_config: {max_tokens: 61440, temperature: 0.6, top_p: 0.95, n: 1}
stream: true
timeout: 6000000
limit: 50
work_dir: ./outputs
)";

absl::StatusOr<EvalConfig> Parse(const std::string& yaml) { return ParseEvalConfig(yaml, "/conf"); }

std::string With(const std::string& line) { return kGuide + line + "\n"; }

TEST(EvalConfigTest, ReadsTheGuidesFile) {
  const auto config = Parse(kGuide);
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->model, "Qwen3");
  ASSERT_EQ(config->datasets.size(), 2U);
  EXPECT_EQ(config->datasets[0].second.local_path, "/data/mmlu");
  EXPECT_THAT(config->datasets[0].second.subset_list, ::testing::ElementsAre("law", "math"));
  EXPECT_EQ(config->datasets[0].second.few_shot_num, 0);
  EXPECT_EQ(config->datasets[1].second.local_path, "/conf/sets/mcq");
  EXPECT_EQ(config->datasets[1].second.prompt_template, "选\n\n{query}");
  EXPECT_EQ(config->datasets[1].second.filters[0].second, "</think>");
  EXPECT_EQ(config->eval_batch_size, 32);
  EXPECT_EQ(config->generation_config->dump(),
            R"({"max_tokens":61440,"temperature":0.6,"top_p":0.95})");
  EXPECT_TRUE(config->stream);
  EXPECT_EQ(config->limit.Of(1000), 50U);
  EXPECT_EQ(config->repeats, 1);
}

TEST(EvalConfigTest, ReadsEveryKeyOfADataSet) {
  const auto config =
      Parse(R"({model: m, api_url: http://h/v1, datasets: [drop], dataset_args: {drop: {
    dataset_id: /id, subset_list: [a, 2], few_shot_num: 3, prompt_template: p, query_template: q,
    system_prompt: s, eval_split: e, train_split: t, metric_list: [m1, m2],
    filters: {extract: x, remove_until: y}, extra_params: {strict: true}}}})");
  ASSERT_THAT(config, IsOk());
  const DatasetArgs& args = config->datasets[0].second;
  EXPECT_EQ(args.local_path, "/id");
  EXPECT_THAT(args.subset_list, ::testing::ElementsAre("a", "2"));
  EXPECT_EQ(args.few_shot_num, 3);
  EXPECT_EQ(args.prompt_template, "p");
  EXPECT_EQ(args.query_template, "q");
  EXPECT_EQ(args.system_prompt, "s");
  EXPECT_EQ(args.eval_split, "e");
  EXPECT_EQ(args.train_split, "t");
  EXPECT_THAT(args.metric_list, ::testing::ElementsAre("m1", "m2"));
  EXPECT_THAT(args.filters, ::testing::ElementsAre(::testing::Pair("extract", "x"),
                                                   ::testing::Pair("remove_until", "y")));
  EXPECT_EQ(args.extra_params->dump(), R"({"strict":true})");
}

TEST(EvalConfigTest, RefusesUnknownKeysByName) {
  EXPECT_THAT(Parse(With("temperature: 1")),
              StatusIs(absl::StatusCode::kInvalidArgument, "'temperature' is not a known key"));
  EXPECT_THAT(Parse("model: m\napi_url: http://h/v1\ndatasets: [ifeval]\n"
                    "dataset_args: {ifeval: {local_path: x, shots: 1}}"),
              StatusIs(absl::StatusCode::kInvalidArgument, "dataset_args.ifeval.shots"));
}

TEST(EvalConfigTest, RefusesWhatItDoesNotDo) {
  EXPECT_THAT(Parse(With("judge_strategy: llm")),
              StatusIs(absl::StatusCode::kInvalidArgument, "judge_strategy"));
  EXPECT_THAT(Parse(With("judge_strategy: auto")), IsOk());
  EXPECT_THAT(Parse(With("eval_backend: OpenCompass")),
              StatusIs(absl::StatusCode::kInvalidArgument, "eval_backend"));
}

TEST(EvalConfigTest, NamesWhatIsWrong) {
  const std::string head = "model: m\napi_url: http://h/v1\n";
  EXPECT_THAT(Parse("model: m\n"), StatusIs(absl::StatusCode::kInvalidArgument, "api_url"));
  EXPECT_THAT(Parse(head), StatusIs(absl::StatusCode::kInvalidArgument, "'datasets'"));
  EXPECT_THAT(Parse(head + "datasets: [drop]"),
              StatusIs(absl::StatusCode::kInvalidArgument, "dataset_args.drop.local_path"));
  EXPECT_THAT(Parse(head + "datasets: [drop]\ndataset_args: {aime24: {}}"),
              StatusIs(absl::StatusCode::kInvalidArgument, "dataset_args.aime24"));
  EXPECT_THAT(Parse(With("repeats: 0")), StatusIs(absl::StatusCode::kInvalidArgument, "repeats"));
  EXPECT_THAT(Parse(With("limit: 5")), StatusIs(absl::StatusCode::kInvalidArgument, "twice"));
  EXPECT_THAT(Parse("a: [1"), StatusIs(absl::StatusCode::kInvalidArgument, "line"));
  EXPECT_THAT(Parse("- 1"), StatusIs(absl::StatusCode::kInvalidArgument, "mapping"));
  EXPECT_THAT(Parse(head + "eval_type: checkpoint\ndatasets: [drop]"),
              StatusIs(absl::StatusCode::kInvalidArgument, "eval_type"));
}

TEST(EvalConfigTest, TakesTheDatasetDirAndDefaults) {
  const auto config =
      Parse("model: m\napi_url: http://h/v1\ndatasets: [drop]\ndataset_dir: /d\nlimit: 0.5");
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->datasets[0].second.local_path, "/d/drop");
  EXPECT_EQ(config->generation_config->dump(), R"({"max_tokens":2048,"temperature":0.0})");
  EXPECT_EQ(config->limit.Of(7), 3U);
}

}  // namespace
}  // namespace vallm::eval
