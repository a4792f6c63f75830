#include "tokenizer_service/output/output_parser.h"

#include <algorithm>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/testing/status_matchers.h"
#include "tokenizer_service/bpe/tokenizer.h"

namespace vallm::tokenizer {
namespace {

using testing::IsOk;
using ::testing::SizeIs;
using testing::StatusIs;

const char kDemoModel[] = VALLM_SOURCE_DIR "/tools/demo_model/Qwen3-Demo-MoE-FP8";
const char kCall[] = R"(<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>)";

class OutputParserTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto loaded = Tokenizer::FromModelDir(kDemoModel);
    ASSERT_OK(loaded);
    tokenizer_ = *std::move(loaded);
  }
  static void TearDownTestSuite() { tokenizer_.reset(); }

  static std::vector<int32_t> Ids(std::string_view text) { return *tokenizer_->Encode(text); }

  static std::unique_ptr<OutputParser> Create(OutputOptions options) {
    auto parser = OutputParser::Create(tokenizer_.get(), std::move(options));
    EXPECT_OK(parser);
    return *std::move(parser);
  }

  static OutputOptions Qwen3() {
    OutputOptions options;
    options.reasoning_parser = "qwen3";
    options.tool_parser = "hermes";
    options.tools_enabled = true;
    return options;
  }

  // The answer to `text`, fed as ids one by one.
  static ParsedOutput Parse(OutputOptions options, std::string_view text,
                            std::string_view reason = "stop") {
    const auto parser = Create(std::move(options));
    std::vector<Event> events;
    for (const int32_t id : Ids(text)) parser->FeedTokens({&id, 1}, &events);
    parser->Finish(reason, &events);
    return Fold(events);
  }

  static int64_t ReasoningTokens(OutputOptions options, std::string_view text) {
    const auto parser = Create(std::move(options));
    std::vector<Event> events;
    parser->FeedTokens(Ids(text), &events);
    parser->Finish("stop", &events);
    return parser->reasoning_token_count();
  }

  static std::unique_ptr<const Tokenizer> tokenizer_;
};

std::unique_ptr<const Tokenizer> OutputParserTest::tokenizer_;

TEST_F(OutputParserTest, RefusesUnknownParsersAndBadStops) {
  OutputOptions options;
  options.reasoning_parser = "gpt";
  EXPECT_THAT(OutputParser::Create(nullptr, options),
              StatusIs(absl::StatusCode::kInvalidArgument, "unknown reasoning parser"));
  options.reasoning_parser = "";
  options.tool_parser = "gpt";
  EXPECT_THAT(OutputParser::Create(nullptr, options),
              StatusIs(absl::StatusCode::kInvalidArgument, "unknown tool parser"));
  options.tool_parser = "";
  options.stop = {""};
  EXPECT_THAT(OutputParser::Create(nullptr, options),
              StatusIs(absl::StatusCode::kInvalidArgument, "stop string 0 is empty"));
}

TEST_F(OutputParserTest, TextNeedsNoTokenizer) {
  auto parser = OutputParser::Create(nullptr, Qwen3());
  ASSERT_OK(parser);
  std::vector<Event> events;
  (*parser)->FeedText("<think>a</think>b", &events);
  (*parser)->Finish("stop", &events);
  EXPECT_EQ(Fold(events),
            (ParsedOutput{.reasoning = "a", .content = "b", .finish_reason = "stop"}));
}

TEST_F(OutputParserTest, StopStringsDoNotCountBeforeMinTokens) {
  OutputOptions options;
  options.stop = {"a"};
  std::vector<int32_t> ids;  // a token per letter, however the vocabulary merges them
  for (const char letter : std::string("xaxaxa")) ids.push_back(Ids(std::string(1, letter)).at(0));
  const auto parse = [&](int64_t min_tokens, size_t group) {
    options.min_tokens = min_tokens;
    const auto parser = Create(options);
    std::vector<Event> events;
    for (size_t i = 0; i < ids.size(); i += group) {
      const size_t count = std::min(group, ids.size() - i);
      parser->FeedTokens(std::span(ids).subspan(i, count), &events);
    }
    parser->Finish("length", &events);
    const ParsedOutput output = Fold(events);
    return output.content + "|" + output.finish_reason;
  };
  for (const size_t group : {1, 2, 3, 4, 6}) {
    EXPECT_EQ(parse(0, group), "x|stop");
    EXPECT_EQ(parse(1, group), "x|stop");
    // The token that makes it complete is the second: within the minimum.
    EXPECT_EQ(parse(2, group), "xax|stop");
    EXPECT_EQ(parse(3, group), "xax|stop");
    EXPECT_EQ(parse(5, group), "xaxax|stop");
    EXPECT_EQ(parse(6, group), "xaxaxa|length");
    EXPECT_EQ(parse(100, group), "xaxaxa|length");
  }
}

TEST_F(OutputParserTest, AStopEndsTheAnswerWherever) {
  OutputOptions options = Qwen3();
  options.stop = {"halt"};
  const auto parser = Create(options);
  std::vector<Event> events;
  parser->FeedText("<think>a</think>b <tool_ca", &events);
  EXPECT_FALSE(parser->stopped());
  parser->FeedText("halt and more", &events);
  EXPECT_TRUE(parser->stopped());
  EXPECT_EQ(events.back(), (Event{Event::Kind::kStop, "halt"}));
  parser->FeedText("ignored", &events);
  parser->Finish("abort", &events);
  // The beginning of a tag that the stop cut off goes through the parsers like all text.
  EXPECT_EQ(
      Fold(events),
      (ParsedOutput{
          .reasoning = "a", .content = "b <tool_ca", .finish_reason = "stop", .stop = "halt"}));
}

TEST_F(OutputParserTest, AStopInsideReasoningLeavesReasoning) {
  OutputOptions options = Qwen3();
  options.stop = {"halt"};
  EXPECT_EQ(Parse(options, "<think>a halt</think>b").reasoning, "a ");
  options.include_stop_str_in_output = true;
  EXPECT_EQ(Parse(options, "<think>a halt</think>b").reasoning, "a halt");
}

TEST_F(OutputParserTest, AStopStringMayHoldATag) {
  OutputOptions options = Qwen3();
  options.stop = {"</tool_call>"};
  const ParsedOutput output = Parse(options, std::string("<think>a</think>") + kCall + kCall);
  EXPECT_THAT(output.tool_calls, SizeIs(1));
  EXPECT_EQ(output.finish_reason, "tool_calls");
  EXPECT_EQ(output.stop, "</tool_call>");
}

TEST_F(OutputParserTest, TextHeldBackForAStopIsReleasedAtTheEnd) {
  OutputOptions options = Qwen3();
  options.stop = {"</think>ok!"};
  EXPECT_EQ(Parse(options, "<think>a</think>ok"),
            (ParsedOutput{.reasoning = "a", .content = "ok", .finish_reason = "stop"}));
}

TEST_F(OutputParserTest, AStopMayComeWithTheLastByte) {
  OutputOptions options;
  options.stop = {"\uFFFD"};
  const auto parser = Create(options);
  std::vector<Event> events;
  parser->FeedText("a\xE2", &events);
  parser->Finish("length", &events);
  EXPECT_THAT(events, ::testing::ElementsAre(Event{Event::Kind::kContent, "a"},
                                             Event{Event::Kind::kStop, "\uFFFD"},
                                             Event{Event::Kind::kFinish, "stop"}));
}

TEST_F(OutputParserTest, OneCallOnRequest) {
  OutputOptions options = Qwen3();
  options.parallel_tool_calls = false;
  const auto parser = Create(options);
  std::vector<Event> events;
  parser->FeedText(std::string("</think>") + kCall + kCall + "bye", &events);
  parser->Finish("stop", &events);
  EXPECT_THAT(Fold(events).tool_calls, SizeIs(1));
  EXPECT_EQ(parser->tool_call_count(), 1);
  EXPECT_EQ(Fold(events).content, "bye");
}

TEST_F(OutputParserTest, WithoutToolsCallsAreContent) {
  OutputOptions options = Qwen3();
  options.tools_enabled = false;
  EXPECT_EQ(Parse(options, std::string("</think>") + kCall).content, kCall);
}

TEST_F(OutputParserTest, ReportsTheEnginesReasonForACutOffCall) {
  const std::string cut = R"(</think><tool_call>{"name": "f", "arguments": {"a")";
  EXPECT_EQ(Parse(Qwen3(), cut, "length").finish_reason, "length");
  EXPECT_EQ(Parse(Qwen3(), cut, "stop").finish_reason, "tool_calls");
  EXPECT_EQ(Parse(Qwen3(), std::string("</think>") + kCall, "length").finish_reason, "tool_calls");
  EXPECT_EQ(Parse(Qwen3(), "</think>a", "length").finish_reason, "length");
}

TEST_F(OutputParserTest, KeepsTagsThatTheTokenizerCallsSpecial) {
  std::ifstream file(std::string(kDemoModel) + "/tokenizer.json");
  auto json = nlohmann::json::parse(file);
  for (auto& token : json.at("added_tokens")) token["special"] = true;
  const auto tokenizer = Tokenizer::FromJson(json.dump());
  ASSERT_OK(tokenizer);
  auto parser = OutputParser::Create(tokenizer->get(), Qwen3());
  ASSERT_OK(parser);
  const std::string text = std::string("<think>a</think>b<tool_response><|im_end|>") + kCall;
  std::vector<Event> events;
  (*parser)->FeedTokens(*(*tokenizer)->Encode(text), &events);
  (*parser)->Finish("stop", &events);
  EXPECT_EQ(Fold(events).reasoning, "a");
  EXPECT_EQ(Fold(events).content, "b");
  EXPECT_THAT(Fold(events).tool_calls, SizeIs(1));
}

TEST_F(OutputParserTest, CountsTheTokensOfTheThinkBlock) {
  const auto size = [](std::string_view text) { return static_cast<int64_t>(Ids(text).size()); };
  const std::string thought = "<think>\nI wonder, 北京?\n</think>";
  EXPECT_EQ(ReasoningTokens(Qwen3(), thought + "\n\nThe answer."), size(thought));
  EXPECT_EQ(ReasoningTokens(Qwen3(), "I wonder<|im_end|>"), size("I wonder"))
      << "a token without text is none of reasoning";

  OutputOptions options = Qwen3();
  options.stop = {"won"};
  const int64_t cut = ReasoningTokens(options, "I was wondering a lot");
  EXPECT_LT(cut, size("I was wondering a lot"));
  EXPECT_GE(cut, size("I was "));

  options = Qwen3();
  options.prompt_think_state = PromptThinkState::kClosed;
  EXPECT_EQ(ReasoningTokens(options, thought), 0);
  options.reasoning_parser = "";
  EXPECT_EQ(ReasoningTokens(options, thought), 0);
}

TEST_F(OutputParserTest, CountsNoTokenOfALeadThatTurnsOutToBeContent) {
  OutputOptions options = Qwen3();
  options.prompt_think_state = PromptThinkState::kUnaware;
  const auto parser = Create(options);
  std::vector<Event> events;
  for (const int32_t id : Ids(" <thin ice")) parser->FeedTokens({&id, 1}, &events);
  EXPECT_EQ(parser->reasoning_token_count(), 0);
}

TEST_F(OutputParserTest, CountsTheTokensOfASpelledTag) {
  std::vector<int32_t> ids = Ids("<think>a");
  const std::vector<int32_t> tag = *tokenizer_->Encode("</think>", {.parse_special_tokens = false});
  ASSERT_GT(tag.size(), 1u);
  ids.insert(ids.end(), tag.begin(), tag.end());
  const auto expected = static_cast<int64_t>(ids.size());
  for (const int32_t id : Ids("b c")) ids.push_back(id);

  const auto parser = Create(Qwen3());
  std::vector<Event> events;
  for (const int32_t id : ids) parser->FeedTokens({&id, 1}, &events);
  EXPECT_EQ(parser->reasoning_token_count(), expected);
}

class ThinkStateTest : public OutputParserTest {
 protected:
  static PromptThinkState Of(std::string_view prompt) {
    return ThinkStateFromPrompt(Ids(prompt), *tokenizer_);
  }
};

TEST_F(ThinkStateTest, ReadsTheLastTurn) {
  EXPECT_EQ(Of("<|im_start|>assistant\n"), PromptThinkState::kNone);
  EXPECT_EQ(Of("<|im_start|>assistant\n<think>\n"), PromptThinkState::kOpen);
  EXPECT_EQ(Of("<|im_start|>assistant\n<think>\n\n</think>\n\n"), PromptThinkState::kClosed);
  EXPECT_EQ(Of("<|im_start|>assistant\n<think>\n\n</think>\n\nSure, "), PromptThinkState::kClosed);
}

TEST_F(ThinkStateTest, IgnoresEarlierTurns) {
  EXPECT_EQ(Of("<|im_start|>user\nuse <think><|im_end|>\n<|im_start|>assistant\n"),
            PromptThinkState::kNone);
  EXPECT_EQ(Of("<|im_start|>assistant\n<think></think>a<|im_end|>\n<|im_start|>assistant\n"),
            PromptThinkState::kNone);
}

TEST_F(ThinkStateTest, WithoutTurnsTheWholePromptCounts) {
  EXPECT_EQ(Of(""), PromptThinkState::kNone);
  EXPECT_EQ(Of("Question: 1+1? <think> well"), PromptThinkState::kOpen);
}

}  // namespace
}  // namespace vallm::tokenizer
