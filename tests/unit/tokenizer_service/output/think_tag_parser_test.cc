#include "tokenizer_service/output/think_tag_parser.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tokenizer_service/output/output_parser.h"
#include "tokenizer_service/output/tag_matcher.h"

namespace vallm::tokenizer {
namespace {

using ::testing::ElementsAre;
using testing::IsOk;
using testing::StatusIs;

ReasoningSplit Split(const std::vector<std::string>& pieces,
                     PromptThinkState state = PromptThinkState::kNone) {
  ThinkTagParser parser(state);
  ReasoningSplit split;
  for (const std::string& piece : pieces) parser.Append(piece, &split);
  parser.Flush(&split);
  return split;
}

TEST(TagMatcher, FindsATagCutAnywhere) {
  TagMatcher matcher("</think>");
  std::string before;
  for (const std::string_view piece : {"a <", "/thi", "nk"}) {
    std::string_view text = piece;
    EXPECT_FALSE(matcher.Find(&text, &before));
    EXPECT_EQ(before, "a ");
  }
  std::string_view text = ">b";
  EXPECT_TRUE(matcher.Find(&text, &before));
  EXPECT_EQ(before, "a ");
  EXPECT_EQ(text, "b");
}

TEST(TagMatcher, ReleasesWhatIsNoTag) {
  TagMatcher matcher("</think>");
  std::string before;
  std::string_view text = "<</th</thx</";
  EXPECT_FALSE(matcher.Find(&text, &before));
  EXPECT_EQ(before, "<</th</thx");
  matcher.Flush(&before);
  EXPECT_EQ(before, "<</th</thx</");
}

TEST(ThinkTagParser, SplitsAtTheFirstClosingTag) {
  const ReasoningSplit split = Split({"<think>a<think>b</thi", "nk>c</think>d"});
  EXPECT_EQ(split.reasoning, "a<think>b");
  EXPECT_EQ(split.content, "c</think>d");
}

TEST(ThinkTagParser, DropsWhitespaceOnlyBeforeAnOpeningTag) {
  EXPECT_EQ(Split({" \n", "<thi", "nk>x"}).reasoning, "x");
  EXPECT_EQ(Split({" \n", "<thi", "s>x"}).reasoning, " \n<this>x");
  EXPECT_EQ(Split({" \n"}).reasoning, " \n");
  EXPECT_EQ(Split({"<thi"}).reasoning, "<thi");
}

TEST(ThinkTagParser, WithoutAClosingTagAllIsReasoning) {
  for (const PromptThinkState state : {PromptThinkState::kNone, PromptThinkState::kOpen}) {
    const ReasoningSplit split = Split({"a</thi"}, state);
    EXPECT_EQ(split.reasoning, "a</thi");
    EXPECT_EQ(split.content, "");
  }
}

TEST(ThinkTagParser, AfterAClosedBlockAllIsContent) {
  const ReasoningSplit split = Split({"<think>a</think>b"}, PromptThinkState::kClosed);
  EXPECT_EQ(split.reasoning, "");
  EXPECT_EQ(split.content, "<think>a</think>b");
}

TEST(ThinkTagParser, UnderATemplateWithoutThinkingOnlyAnOpeningTagMeansReasoning) {
  const auto split = [](const std::vector<std::string>& pieces) {
    return Split(pieces, PromptThinkState::kUnaware);
  };
  EXPECT_EQ(split({" a</thi", "nk>b"}).content, " a</think>b");
  EXPECT_EQ(split({"<thi"}).content, "<thi");
  EXPECT_EQ(split({"\n<think>a", "</think>b"}).reasoning, "a");
  EXPECT_EQ(split({"\n<think>a", "</think>b"}).content, "b");
  EXPECT_EQ(split({"<think>a"}).reasoning, "a");
  ThinkTagParser parser(PromptThinkState::kUnaware);
  ReasoningSplit parts;
  parser.Append("plain", &parts);
  EXPECT_EQ(parser.reasoning_end(), 0);
}

TEST(ThinkTagParser, KnowsWhereTheReasoningEnds) {
  ThinkTagParser parser(PromptThinkState::kOpen);
  ReasoningSplit split;
  parser.Append("ab</thin", &split);
  EXPECT_EQ(parser.reasoning_end(), std::nullopt);
  parser.Append("k>cd", &split);
  EXPECT_EQ(parser.reasoning_end(), 10);
  EXPECT_EQ(ThinkTagParser(PromptThinkState::kClosed).reasoning_end(), 0);
}

TEST(MakeReasoningParser, KnowsTheNamesItLists) {
  EXPECT_THAT(ReasoningParserNames(), ElementsAre("deepseek_r1", "qwen3"));
  for (const std::string& name : ReasoningParserNames()) {
    EXPECT_OK(MakeReasoningParser(name, PromptThinkState::kNone));
  }
  EXPECT_THAT(MakeReasoningParser("gpt", PromptThinkState::kNone),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "unknown reasoning parser \"gpt\"; known: deepseek_r1, qwen3"));
}

}  // namespace
}  // namespace vallm::tokenizer
