#include "tools/bench/dataset.h"

#include <algorithm>
#include <fstream>
#include <memory>
#include <set>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::tools {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;
using tokenizer::Tokenizer;

class DatasetTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    tokenizer_ = Tokenizer::FromModelDir(VALLM_SOURCE_DIR "/tools/demo_model/Qwen3-Demo-MoE-FP8")
                     .value()
                     .release();
  }
  static int64_t Count(const std::string& text) {
    return static_cast<int64_t>(tokenizer_->Encode(text)->size());
  }
  static std::string File(const std::string& text) {
    const std::string path = ::testing::TempDir() + "dataset_test_" +
                             ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::ofstream(path) << text;
    return path;
  }

  static const Tokenizer* tokenizer_;
};

const Tokenizer* DatasetTest::tokenizer_ = nullptr;

TEST_F(DatasetTest, RandomPromptsHaveExactlyTheLength) {
  for (const int64_t length : {1, 2, 17, 1000}) {
    DatasetOptions options;
    options.random_input_len = length;
    options.random_output_len = 9;
    const auto prompts = MakePrompts(options, 5, 42, tokenizer_);
    ASSERT_TRUE(prompts.ok()) << prompts.status();
    std::set<std::string> texts;
    for (const BenchPrompt& prompt : *prompts) {
      EXPECT_EQ(prompt.tokens, length);
      EXPECT_EQ(Count(prompt.text), length) << prompt.text;
      EXPECT_EQ(prompt.output_tokens, 9);
      texts.insert(prompt.text);
    }
    EXPECT_EQ(texts.size(), 5u);
  }
}

TEST_F(DatasetTest, RandomLengthsFillTheirRangeBehindOnePrefix) {
  DatasetOptions options;
  options.random_input_len = 20;
  options.random_output_len = 10;
  options.random_prefix_len = 8;
  options.random_range_ratio = 0.5;
  const auto prompts = MakePrompts(options, 300, 1, tokenizer_);
  ASSERT_TRUE(prompts.ok()) << prompts.status();
  std::set<int64_t> inputs, outputs;
  for (const BenchPrompt& prompt : *prompts) {
    EXPECT_EQ(Count(prompt.text), prompt.tokens);
    inputs.insert(prompt.tokens);
    outputs.insert(prompt.output_tokens);
  }
  EXPECT_EQ(*inputs.begin(), 8 + 10);
  EXPECT_EQ(*inputs.rbegin(), 8 + 30);
  EXPECT_EQ(*outputs.begin(), 5);
  EXPECT_EQ(*outputs.rbegin(), 15);
  const std::string& first = prompts->front().text;
  const std::string& other = prompts->back().text;
  const auto common = std::mismatch(first.begin(), first.end(), other.begin(), other.end());
  EXPECT_GE(Count(std::string(first.begin(), common.first)), 8);
}

TEST_F(DatasetTest, ASeedDecidesEverything) {
  DatasetOptions options;
  options.random_range_ratio = 0.3;
  const auto texts = [&](uint64_t seed) {
    std::string all;
    const auto prompts = MakePrompts(options, 3, seed, tokenizer_);
    for (const BenchPrompt& prompt : *prompts) all += prompt.text + "|";
    return all;
  };
  EXPECT_EQ(texts(5), texts(5));
  EXPECT_NE(texts(5), texts(6));
}

TEST_F(DatasetTest, PrefixesRepeat) {
  DatasetOptions options;
  options.name = "prefix_repetition";
  options.prefix_repetition_prefix_len = 30;
  options.prefix_repetition_suffix_len = 5;
  options.prefix_repetition_num_prefixes = 3;
  const auto prompts = MakePrompts(options, 12, 1, tokenizer_);
  ASSERT_TRUE(prompts.ok()) << prompts.status();
  std::multiset<std::string> beginnings;
  for (const BenchPrompt& prompt : *prompts) {
    EXPECT_EQ(Count(prompt.text), 35);
    size_t end = 0;
    for (int i = 0; i < 30; ++i) end = prompt.text.find(' ', end + 1);
    beginnings.insert(prompt.text.substr(0, end));
  }
  ASSERT_EQ(std::set<std::string>(beginnings.begin(), beginnings.end()).size(), 3u);
  EXPECT_EQ(beginnings.count(*beginnings.begin()), 4u);
  EXPECT_THAT(MakePrompts(options, 2, 1, tokenizer_),
              StatusIs(absl::StatusCode::kInvalidArgument, "num-prefixes"));
}

TEST_F(DatasetTest, LinesOfATextAreFilledUpToTheToken) {
  DatasetOptions options;
  options.name = "sonnet";
  options.path = File("Shall I compare thee\n\n to a summer's day?\nThou art more lovely, 1609.\n");
  options.sonnet_input_len = 100;
  options.sonnet_prefix_len = 40;
  const auto prompts = MakePrompts(options, 4, 1, tokenizer_);
  ASSERT_TRUE(prompts.ok()) << prompts.status();
  for (const BenchPrompt& prompt : *prompts) {
    EXPECT_EQ(Count(prompt.text), 100) << prompt.text;
    EXPECT_THAT(prompt.text, HasSubstr("summer's day?"));
  }
  options.sonnet_prefix_len = 3;
  EXPECT_THAT(MakePrompts(options, 4, 1, tokenizer_),
              StatusIs(absl::StatusCode::kInvalidArgument, "--sonnet-prefix-len"));
}

TEST_F(DatasetTest, ReadsShareGpt) {
  DatasetOptions options;
  options.name = "sharegpt";
  options.path = File(R"([
    {"id": "a", "conversations": [{"from": "human", "value": "What is the number of the word?"},
                                  {"from": "gpt", "value": "The number is one and two."}]},
    {"id": "short", "conversations": [{"from": "human", "value": "Hi"},
                                      {"from": "gpt", "value": "The number is one and two."}]},
    {"id": "one turn", "conversations": [{"from": "human", "value": "What is the number of it?"}]}
  ])");
  auto prompts = MakePrompts(options, 3, 1, tokenizer_);
  ASSERT_TRUE(prompts.ok()) << prompts.status();
  ASSERT_EQ(prompts->size(), 3u);  // the only usable one, three times
  for (const BenchPrompt& prompt : *prompts) {
    EXPECT_EQ(prompt.text, "What is the number of the word?");
    EXPECT_EQ(prompt.tokens, Count(prompt.text));
    EXPECT_EQ(prompt.output_tokens, Count("The number is one and two."));
  }
  options.sharegpt_output_len = 77;
  prompts = MakePrompts(options, 1, 1, tokenizer_);
  EXPECT_EQ(prompts->front().output_tokens, 77);
  options.path = File("{}");
  EXPECT_THAT(MakePrompts(options, 1, 1, tokenizer_),
              StatusIs(absl::StatusCode::kInvalidArgument, "JSON array"));
}

TEST_F(DatasetTest, ReadsRowsOfOnesOwn) {
  DatasetOptions options;
  options.name = "custom";
  options.path = File("{\"prompt\": \"one\", \"output_tokens\": 3}\n\n{\"prompt\": \"two\"}\n");
  const auto prompts = MakePrompts(options, 3, 1, nullptr);
  ASSERT_TRUE(prompts.ok()) << prompts.status();
  EXPECT_EQ((*prompts)[0].output_tokens, 3);
  EXPECT_EQ((*prompts)[1].text, "two");
  EXPECT_EQ((*prompts)[1].output_tokens, 256);
  EXPECT_EQ((*prompts)[1].tokens, -1);
  EXPECT_EQ((*prompts)[2].text, "one");
  options.path = File("{\"prompt\": \"one\"}\n{\"text\": \"two\"}\n");
  EXPECT_THAT(MakePrompts(options, 3, 1, nullptr),
              StatusIs(absl::StatusCode::kInvalidArgument, ":2: "));
}

TEST_F(DatasetTest, SaysWhatIsMissing) {
  EXPECT_THAT(MakePrompts({}, 1, 1, nullptr),
              StatusIs(absl::StatusCode::kInvalidArgument, "--tokenizer"));
  DatasetOptions options;
  options.name = "sharegpt";
  EXPECT_THAT(MakePrompts(options, 1, 1, tokenizer_),
              StatusIs(absl::StatusCode::kInvalidArgument, "--dataset-path"));
  options.path = "/nonexistent";
  EXPECT_THAT(MakePrompts(options, 1, 1, tokenizer_),
              StatusIs(absl::StatusCode::kNotFound, "/nonexistent"));
}

}  // namespace
}  // namespace vallm::tools
