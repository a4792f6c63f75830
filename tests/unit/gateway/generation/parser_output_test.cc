#include "gateway/generation/parser_output.h"

#include <random>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/testing/status_matchers.h"

namespace vallm::gateway {
namespace {

using Kind = GenerationEvent::Kind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::StatusIs;

v1::ParseEvent Text(Kind kind, const std::string& text, int index = 0) {
  v1::ParseEvent event;
  switch (kind) {
    case Kind::kReasoning:
      event.set_reasoning(text);
      break;
    case Kind::kContent:
      event.set_content(text);
      break;
    case Kind::kToolCallStart:
      event.mutable_tool_call_start()->set_name(text);
      event.mutable_tool_call_start()->set_index(index);
      break;
    default:
      event.mutable_tool_call_arguments()->set_text(text);
      event.mutable_tool_call_arguments()->set_index(index);
  }
  return event;
}

v1::ParseEvent Listing(v1::ParseEvent event, v1::TokenRole role, int count) {
  v1::TokenRun& run = *event.add_token_runs();
  run.set_role(role);
  run.set_token_count(count);
  return event;
}

class ParserOutputTest : public ::testing::Test {
 protected:
  ParserOutputTest() {
    v1::GenerateRequest request;
    request.mutable_prompt_token_ids()->add_ids(1);
    engine_ = std::make_unique<EngineOutput>(request);
    v1::GenerateChunk chunk;
    for (int i = 0; i < 100; ++i) {
      chunk.add_token_ids(i);
      chunk.add_logprobs()->set_rank(i);
    }
    engine_->Add(chunk);
  }

  absl::Status Add(v1::ParseEvent event) {
    std::vector<GenerationEvent> events;
    absl::Status status = output_.Add(std::move(event), *engine_, &events);
    for (GenerationEvent& fresh : events) {
      lines_.push_back(absl::StrCat(static_cast<int>(fresh.kind), fresh.tool_index, fresh.text));
      all_ += lines_.back();
      for (const TokenLogprobs& logprobs : fresh.logprobs) ids_.push_back(logprobs.token_id);
    }
    return status;
  }
  std::vector<std::string> Lines() { return std::exchange(lines_, {}); }

  std::unique_ptr<EngineOutput> engine_;
  ParserOutput output_{/*choice=*/0};
  std::vector<std::string> lines_;  // kind, tool index and text of each event given out
  std::string all_;                 // of all of them
  std::vector<int32_t> ids_;        // of the log-probabilities given out
};

TEST_F(ParserOutputTest, WhatWasGivenOutIsLeftOutOfASecondStream) {
  EXPECT_OK(Add(Text(Kind::kReasoning, "ab")));
  EXPECT_OK(Add(Text(Kind::kReasoning, "c")));
  EXPECT_OK(Add(Text(Kind::kContent, "de")));
  EXPECT_THAT(Lines(), ElementsAre("00ab", "00c", "10de"));
  output_.Restart();
  // Other pieces, the same text.
  EXPECT_OK(Add(Text(Kind::kReasoning, "a")));
  EXPECT_OK(Add(Text(Kind::kReasoning, "bc")));
  EXPECT_THAT(Lines(), IsEmpty());
  EXPECT_OK(Add(Text(Kind::kContent, "defg")));
  EXPECT_OK(Add(Text(Kind::kContent, "h")));
  EXPECT_THAT(Lines(), ElementsAre("10fg", "10h"));
  output_.Restart();
  EXPECT_OK(Add(Text(Kind::kReasoning, "abc")));
  EXPECT_OK(Add(Text(Kind::kContent, "defghi")));
  EXPECT_THAT(Lines(), ElementsAre("10i"));
}

TEST_F(ParserOutputTest, ToolCallsAreLeftOutWhole) {
  EXPECT_OK(Add(Text(Kind::kToolCallStart, "get", 0)));
  EXPECT_OK(Add(Text(Kind::kToolCallArguments, "{\"a\"", 0)));
  EXPECT_OK(Add(Text(Kind::kToolCallArguments, ":1}", 0)));
  EXPECT_OK(Add(Text(Kind::kToolCallStart, "get", 1)));
  Lines();
  output_.Restart();
  EXPECT_OK(Add(Text(Kind::kToolCallStart, "get", 0)));
  EXPECT_OK(Add(Text(Kind::kToolCallArguments, "{\"a\":1}", 0)));
  EXPECT_OK(Add(Text(Kind::kToolCallStart, "get", 1)));
  EXPECT_THAT(Lines(), IsEmpty());
  EXPECT_OK(Add(Text(Kind::kToolCallArguments, "{}", 1)));
  EXPECT_THAT(Lines(), ElementsAre("31{}"));
}

TEST_F(ParserOutputTest, AnotherParsingOfTheSameTokensIsAnError) {
  EXPECT_OK(Add(Text(Kind::kReasoning, "ab")));
  output_.Restart();
  EXPECT_THAT(Add(Text(Kind::kContent, "ab")),
              StatusIs(absl::StatusCode::kInternal, "in another way"));
}

TEST_F(ParserOutputTest, LogprobsOfEveryTokenComeOnce) {
  EXPECT_OK(Add(Listing(Text(Kind::kContent, "ab"), v1::TOKEN_ROLE_CONTENT, 2)));
  output_.Restart();
  EXPECT_OK(Add(Listing(Text(Kind::kContent, "abcd"), v1::TOKEN_ROLE_CONTENT, 4)));
  EXPECT_OK(Add(Listing(Text(Kind::kContent, "e"), v1::TOKEN_ROLE_CONTENT, 1)));
  EXPECT_THAT(ids_, ElementsAre(0, 1, 2, 3, 4));
}

TEST_F(ParserOutputTest, TokensAreCountedOnceAndNotBehindAStop) {
  EXPECT_EQ(output_.AddAnswer(3), 3);
  EXPECT_EQ(output_.AddAnswer(2), 2);
  output_.Restart();
  EXPECT_EQ(output_.AddAnswer(5), 0);
  EXPECT_EQ(output_.AddAnswer(1), 1);
  v1::ParseEvent stop;
  stop.mutable_stop_hit()->set_stop("x");
  EXPECT_OK(Add(stop));
  EXPECT_EQ(output_.AddAnswer(2), 2);
  EXPECT_EQ(output_.answered_count(), 8);
  EXPECT_EQ(output_.parsed_count(), 6);
}

// Whatever the pieces, however often it breaks: the text comes once.
TEST_F(ParserOutputTest, AnyNumberOfStreamsGivesTheTextOnce) {
  std::mt19937 dice(7);
  const std::vector<std::pair<Kind, std::string>> answer = {
      {Kind::kReasoning, std::string(50, 'r')},
      {Kind::kContent, std::string(30, 'c')},
      {Kind::kToolCallStart, "name"},
      {Kind::kToolCallArguments, std::string(40, 'a')},
      {Kind::kContent, std::string(20, 'd')}};
  std::string expected;
  for (const auto& [kind, text] : answer) {
    expected += kind == Kind::kToolCallStart ? "[" + text + "]" : text;
  }
  for (int round = 0; round < 200; ++round) {
    ParserOutput output(0);
    std::string given;
    for (bool complete = false; !complete;) {
      output.Restart();
      complete = true;
      for (const auto& [kind, text] : answer) {
        for (size_t at = 0; at < text.size() && complete;) {
          const size_t size = kind == Kind::kToolCallStart
                                  ? text.size()
                                  : std::min(text.size() - at, 1 + dice() % 9);
          std::vector<GenerationEvent> events;
          ASSERT_OK(output.Add(Text(kind, text.substr(at, size)), *engine_, &events));
          for (const GenerationEvent& event : events) {
            given += kind == Kind::kToolCallStart ? "[" + event.text + "]" : event.text;
          }
          at += size;
          complete = dice() % 25 != 0;  // else the stream breaks here
        }
      }
    }
    ASSERT_EQ(given, expected);
  }
}

}  // namespace
}  // namespace vallm::gateway
