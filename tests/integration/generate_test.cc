// `vallm generate` as a program: the demo model's golden answers through real workers, and what the
// command makes of rows that are wrong.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/testing/subprocess.h"

namespace vallm::tools {
namespace {

using nlohmann::ordered_json;
using ::testing::HasSubstr;
using testing::Subprocess;

const std::string kModel = VALLM_SOURCE_DIR "/tools/demo_model/Qwen3-Demo-MoE-FP8";

ordered_json Golden() {
  std::ifstream file(VALLM_SOURCE_DIR "/tools/demo_model/golden.json");
  return ordered_json::parse(file);
}

// Runs the command on `rows` and returns its answers.
std::vector<ordered_json> GenerateWith(const std::string& model,
                                       const std::vector<ordered_json>& rows,
                                       const std::vector<std::string>& flags = {},
                                       const std::string& more_input = "") {
  std::string input;
  for (const ordered_json& row : rows) input += row.dump() + "\n";
  std::vector<std::string> argv = {VALLM_BIN_DIR "/vallm", "generate", model,
                                   "--threads-per-worker=1", "--log-dir=" + ::testing::TempDir()};
  argv.insert(argv.end(), flags.begin(), flags.end());
  Subprocess process(argv, input + more_input);
  EXPECT_TRUE(process.Wait(absl::Minutes(2)));
  EXPECT_EQ(process.exit_code(), 0) << process.ErrorOutput();
  std::vector<ordered_json> answers;
  std::istringstream output(process.Output());
  for (std::string line; std::getline(output, line);) answers.push_back(ordered_json::parse(line));
  return answers;
}

std::vector<ordered_json> Generate(const std::vector<ordered_json>& rows,
                                   const std::vector<std::string>& flags = {},
                                   const std::string& more_input = "") {
  return GenerateWith(kModel, rows, flags, more_input);
}

// A small random model and the greedy continuations of the reference.
struct GoldenModel {
  explicit GoldenModel(const std::string& name)
      : dir(VALLM_TEST_DATA "/golden_models/" + name),
        golden(ordered_json::parse(std::ifstream(dir + "/golden.json"))) {}

  std::vector<ordered_json> Rows() const {
    std::vector<ordered_json> rows;
    for (const ordered_json& run : golden.at("greedy_runs")) {
      rows.push_back(
          {{"prompt_token_ids", golden.at("prompts").at(run.at("prompt").get<size_t>()).at("ids")},
           {"temperature", 0},
           {"ignore_eos", true},
           {"max_tokens", run.at("ids").size()}});
    }
    return rows;
  }
  // Rows of `answers` that are not the reference's.
  int Differences(const std::vector<ordered_json>& answers) const {
    const ordered_json& runs = golden.at("greedy_runs");
    EXPECT_EQ(answers.size(), runs.size());
    int differences = 0;
    for (size_t i = 0; i < std::min(answers.size(), runs.size()); ++i) {
      differences += answers[i].at("token_ids") != runs[i].at("ids") ? 1 : 0;
    }
    return differences;
  }

  std::string dir;
  ordered_json golden;
};

// Greedy rows of the golden prompts, as conversations.
std::vector<ordered_json> GoldenRows() {
  std::vector<ordered_json> rows;
  for (const ordered_json& golden : Golden()) {
    rows.push_back({{"id", golden.at("name")},
                    {"messages", golden.at("messages")},
                    {"tools", golden.at("tools")},
                    {"kwargs", {{"enable_thinking", golden.at("enable_thinking")}}},
                    {"temperature", 0},
                    {"max_tokens", golden.at("continuation_ids").size()}});
  }
  return rows;
}

TEST(Generate, GivesTheGoldenAnswersInOrder) {
  const ordered_json golden = Golden();
  const auto answers = Generate(GoldenRows());
  ASSERT_EQ(answers.size(), golden.size());
  for (size_t i = 0; i < golden.size(); ++i) {
    SCOPED_TRACE(golden[i].at("name"));
    EXPECT_EQ(answers[i].at("id"), golden[i].at("name"));
    EXPECT_EQ(answers[i].at("usage").at("prompt_tokens"), golden[i].at("prompt_ids").size());
    if (golden[i].at("min_margin").get<double>() < 1) continue;  // a near tie may go either way
    EXPECT_EQ(answers[i].at("token_ids"), golden[i].at("continuation_ids"));
    EXPECT_EQ(answers[i].at("finish_reason"), golden[i].at("finished") ? "stop" : "length");
  }
}

TEST(Generate, RunsQuantisedModelsOverWorkers) {
  for (const char* name : {"qwen3-moe-gptq-int4", "qwen3-dense-awq"}) {
    const GoldenModel model(name);
    EXPECT_EQ(
        model.Differences(GenerateWith(model.dir, model.Rows(), {"--tensor-parallel-size=2"})), 0)
        << name;
  }
}

TEST(Generate, SixteenWorkersShareAModel) {
  const GoldenModel model("qwen3-dense-fp8-ragged");
  EXPECT_EQ(model.Differences(GenerateWith(model.dir, model.Rows(), {"--tensor-parallel-size=16"})),
            0);
}

// The scaling that a configuration leaves out is given by the flag.
TEST(Generate, RopeScalingReachesTheModel) {
  namespace fs = std::filesystem;
  const GoldenModel model("qwen3-moe-yarn");
  const fs::path plain = fs::path(::testing::TempDir()) / "plain_rope";
  fs::remove_all(plain);
  fs::copy(model.dir, plain);
  ordered_json config = ordered_json::parse(std::ifstream(plain / "config.json"));
  const std::string scaling = config.at("rope_scaling").dump();
  config["rope_scaling"] = nullptr;
  std::ofstream(plain / "config.json") << config;
  EXPECT_EQ(
      model.Differences(GenerateWith(plain.string(), model.Rows(), {"--rope-scaling=" + scaling})),
      0);
  EXPECT_GT(model.Differences(GenerateWith(plain.string(), model.Rows())), 0);
}

TEST(Generate, GivesTheReferencesLogProbabilities) {
  std::vector<ordered_json> rows;
  const ordered_json golden = Golden();
  for (const ordered_json& entry : golden) {
    rows.push_back({{"prompt_token_ids", entry.at("prompt_ids")},
                    {"temperature", 0},
                    {"max_tokens", 1},
                    {"logprobs", 6400}});
  }
  const auto answers = Generate(rows);
  ASSERT_EQ(answers.size(), rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const ordered_json& step = answers[i].at("logprobs").at(0);
    ASSERT_EQ(step.size(), 6400u);  // the whole vocabulary
    std::map<int, double> logprobs;
    for (const auto& entry : step) logprobs[entry.at(0)] = entry.at(1);
    EXPECT_EQ(logprobs.size(), 6400u);
    // Activations are rounded to bf16: probable tokens are close, improbable ones need not be.
    for (const auto& entry : golden[i].at("first_step_top20")) {
      const double expected = entry.at(2);
      if (expected < -10) continue;
      EXPECT_NEAR(logprobs.at(entry.at(0)), expected, 0.15);
    }
  }
}

TEST(Generate, DependsOnTheRowAlone) {
  std::vector<ordered_json> rows;
  for (int seed = 0; seed < 6; ++seed) {
    rows.push_back({{"id", seed},
                    {"prompt", "Hello, I am"},
                    {"temperature", 1.5},
                    {"top_p", 0.95},
                    {"top_k", 50},
                    {"seed", seed},
                    {"ignore_eos", true},
                    {"max_tokens", 24},
                    {"logprobs", 3}});
  }
  const auto together = Generate(rows, {"--max-batch-size=6"});
  const auto one_by_one = Generate(rows, {"--max-batch-size=1", "--tensor-parallel-size=2"});
  ASSERT_EQ(together.size(), rows.size());
  ASSERT_EQ(one_by_one.size(), rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(together[i].at("token_ids").size(), 24u);
    EXPECT_EQ(together[i].at("token_ids"), one_by_one[i].at("token_ids"));
    EXPECT_EQ(together[i].at("logprobs"), one_by_one[i].at("logprobs"));
  }
  EXPECT_NE(together[0].at("token_ids"), together[1].at("token_ids"));
}

TEST(Generate, GoesOnAfterResumedTokens) {
  const ordered_json row = {{"prompt", "Hello, I am"},
                            {"temperature", 1.0},
                            {"seed", 11},
                            {"ignore_eos", true},
                            {"max_tokens", 20}};
  const auto whole = Generate({row});
  const auto ids = whole.at(0).at("token_ids").get<std::vector<int>>();
  ordered_json resumed = row;
  resumed["resume_token_ids"] = std::vector<int>(ids.begin(), ids.begin() + 7);
  const auto rest = Generate({resumed});
  EXPECT_EQ(rest.at(0).at("token_ids").get<std::vector<int>>(),
            std::vector<int>(ids.begin() + 7, ids.end()));
}

TEST(Generate, StopsAtTheTokensOfTheRow) {
  const ordered_json golden = Golden().at(0);
  const auto ids = golden.at("continuation_ids").get<std::vector<int>>();
  const auto answers = Generate({{{"prompt_token_ids", golden.at("prompt_ids")},
                                  {"temperature", 0},
                                  {"stop_token_ids", {ids.at(5)}}}});
  EXPECT_EQ(answers.at(0).at("finish_reason"), "stop");
  EXPECT_EQ(answers.at(0).at("token_ids").get<std::vector<int>>(),
            std::vector<int>(ids.begin(), ids.begin() + 6));
}

TEST(Generate, AppliesEverySamplingField) {
  const ordered_json base = {
      {"prompt", "Hello, I am"}, {"temperature", 0}, {"max_tokens", 6}, {"ignore_eos", true}};
  const auto with = [&](const ordered_json& fields) {
    ordered_json row = base;
    row.update(fields);
    return row;
  };
  const auto answers = Generate(
      {base, with({{"allowed_token_ids", {100, 200}}}), with({{"logit_bias", {{"300", 100}}}}),
       with({{"min_p", 0.9}, {"temperature", 1}, {"seed", 1}, {"repetition_penalty", 1e-3}}),
       with({{"presence_penalty", 2}, {"frequency_penalty", 2}, {"logit_bias", {{"300", 100}}}}),
       with({{"prompt_logprobs", 2}}),
       with({{"ignore_eos", false}, {"logit_bias", {{"6272", 100}}}, {"min_tokens", 3}}),
       with({{"logit_bias", {{"x", 1}}}}), with({{"presence_penalty", 3}}),
       with({{"bad_words", {" "}}})});
  ASSERT_EQ(answers.size(), 10u);
  const auto ids = [&](size_t i) { return answers[i].at("token_ids").get<std::vector<int>>(); };
  for (const int id : ids(1)) EXPECT_TRUE(id == 100 || id == 200);
  EXPECT_EQ(ids(2), std::vector<int>(6, 300));
  EXPECT_EQ(ids(3).size(), 6u);
  EXPECT_EQ(ids(4), std::vector<int>(6, 300)) << "a bias of 100 outweighs penalties of 14";
  const ordered_json& scored = answers[5];
  EXPECT_EQ(scored.at("token_ids"), answers[0].at("token_ids"));
  EXPECT_EQ(scored.at("prompt_logprobs").size() + 1, scored.at("usage").at("prompt_tokens"));
  EXPECT_EQ(scored.at("prompt_token_logprobs").size(), scored.at("prompt_logprobs").size());
  EXPECT_EQ(scored.at("prompt_logprobs").at(0).size(), 2u);
  EXPECT_EQ(ids(6).size(), 4u);
  EXPECT_EQ(ids(6).back(), 6272);
  EXPECT_THAT(answers[7].at("error").get<std::string>(), HasSubstr("logit_bias"));
  EXPECT_THAT(answers[8].at("error").get<std::string>(), HasSubstr("presence_penalty is 3"));
  EXPECT_THAT(answers[9].at("error").get<std::string>(), HasSubstr("bad_words"));
  // A word that would have come does not.
  const std::string text = answers[0].at("text");
  const std::string word = text.substr(0, text.find(' ', 1));
  const auto banned = Generate({with({{"bad_words", {word}}})});
  EXPECT_NE(banned.at(0).at("token_ids").at(0), answers[0].at("token_ids").at(0)) << word;
}

TEST(Generate, AnswersWrongRowsWithTheirError) {
  const auto answers = Generate({{{"id", 1}},
                                 {{"id", 2}, {"prompt_token_ids", {6400}}},
                                 {{"id", 3}, {"prompt", "x"}, {"temperature", -1}},
                                 {{"id", 4}, {"prompt", "x"}, {"max_tokens", 5000}},
                                 {{"id", 5}, {"prompt", "x"}, {"max_tokens", 1}}},
                                {}, "nonsense\n");
  const std::vector<std::string> errors = {"'prompt_token_ids', 'prompt' or 'messages'", "6400",
                                           "temperature", "5000"};
  ASSERT_EQ(answers.size(), 6u);
  for (size_t i = 0; i < errors.size(); ++i) {
    EXPECT_EQ(answers[i].at("id"), i + 1);
    EXPECT_THAT(answers[i].at("error").get<std::string>(), HasSubstr(errors[i]));
  }
  EXPECT_EQ(answers[4].at("token_ids").size(), 1u);
  EXPECT_THAT(answers[5].at("error").get<std::string>(), HasSubstr("line 6"));
}

TEST(Generate, SaysWhatIsWrongWithTheModel) {
  Subprocess process({VALLM_BIN_DIR "/vallm", "generate", "/nonexistent"}, "");
  ASSERT_TRUE(process.Wait(absl::Minutes(1)));
  EXPECT_EQ(process.exit_code(), 1);
  EXPECT_THAT(process.ErrorOutput(), HasSubstr("/nonexistent"));
}

}  // namespace
}  // namespace vallm::tools
