#include "tokenizer_service/output/hermes_tool_parser.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/unit/tokenizer_service/output/event_collector.h"
#include "tokenizer_service/output/output_parser.h"

namespace vallm::tokenizer {

void PrintTo(const Event& event, std::ostream* os) {
  *os << "{" << static_cast<int>(event.kind) << ", " << event.index << ", "
      << ::testing::PrintToString(event.text) << "}";
}

namespace {

using ::testing::ElementsAre;
using testing::EventCollector;
using ::testing::IsEmpty;
using testing::IsOk;
using testing::ParseCalls;
using testing::StatusIs;

Event Content(std::string text) { return {Event::Kind::kContent, std::move(text), 0}; }
Event Start(std::string name, int index = 0) {
  return {Event::Kind::kToolCallStart, std::move(name), index};
}
Event Arguments(std::string text, int index = 0) {
  return {Event::Kind::kToolArguments, std::move(text), index};
}

class HermesToolParserTest : public ::testing::Test {
 protected:
  std::vector<Event> Append(std::string_view text) {
    EventCollector collector;
    parser_.Append(text, &collector);
    return collector.events;
  }
  std::vector<Event> Flush() {
    EventCollector collector;
    parser_.Flush(&collector);
    return collector.events;
  }
  // All events of one text.
  std::vector<Event> Parse(std::string_view text) { return ParseCalls(&parser_, text); }

  HermesToolParser parser_;
};

TEST_F(HermesToolParserTest, StreamsArgumentsAsTheyCome) {
  EXPECT_THAT(Append("Hi<tool"), ElementsAre(Content("Hi")));
  EXPECT_THAT(Append("_call>\n{\"name\": \"f\", \"arguments\": "), IsEmpty());
  EXPECT_THAT(Append("{\"a\": 1.0"), ElementsAre(Start("f"), Arguments("{\"a\": 1.0")));
  EXPECT_THAT(Append("0, \"b\": \"}\""), ElementsAre(Arguments("0, \"b\": \"}\"")));
  EXPECT_THAT(Append("}}\n</tool"), ElementsAre(Arguments("}")));
  EXPECT_THAT(Append("_call>bye"), ElementsAre(Content("bye")));
  EXPECT_THAT(Flush(), IsEmpty());
  EXPECT_FALSE(parser_.truncated());
}

TEST_F(HermesToolParserTest, EmptyArgumentsAreSent) {
  EXPECT_THAT(Parse(R"(<tool_call>{"name": "f", "arguments": {}}</tool_call>)"),
              ElementsAre(Start("f"), Arguments("{}")));
}

TEST_F(HermesToolParserTest, NumbersAndLiteralsEndBeforeTheBracket) {
  EXPECT_THAT(Parse(R"(<tool_call>{"name": "f", "arguments": -1.5e3 }</tool_call>)"
                    R"(<tool_call>{"name": "g", "arguments": null}</tool_call>)"),
              ElementsAre(Start("f"), Arguments("-1.5e3"), Start("g", 1), Arguments("null", 1)));
}

TEST_F(HermesToolParserTest, ArgumentsBeforeTheNameWaitForTheEnd) {
  EXPECT_THAT(Append(R"(<tool_call>{"arguments": {"a": "</tool_call>"}, "name": "f"})"), IsEmpty());
  EXPECT_THAT(Append("</tool_call>"),
              ElementsAre(Start("f"), Arguments(R"({"a": "</tool_call>"})")));
}

TEST_F(HermesToolParserTest, ASerializedObjectIsUnwrappedOnce) {
  EXPECT_THAT(Parse(R"(<tool_call>{"name": "f", "arguments": "{\"a\": \"\\n\"}"}</tool_call>)"),
              ElementsAre(Start("f"), Arguments(R"({"a": "\n"})")));
}

TEST_F(HermesToolParserTest, AnyOtherStringStaysAString) {
  EXPECT_THAT(Parse(R"(<tool_call>{"name": "f", "arguments": "[1] \"x\""}</tool_call>)"),
              ElementsAre(Start("f"), Arguments(R"("[1] \"x\"")")));
}

TEST_F(HermesToolParserTest, AnEscapedBackslashDoesNotEscapeTheQuote) {
  EXPECT_THAT(Parse(R"(<tool_call>{"name": "f", "arguments": {"p": "C:\\"}}</tool_call>a"b)"),
              ElementsAre(Start("f"), Arguments(R"({"p": "C:\\"})"), Content("a\"b")));
}

TEST_F(HermesToolParserTest, MalformedCallsAreContent) {
  for (const std::string text :
       {"<tool_call>{\"name\": \"f\"}</tool_call>",
        "<tool_call>{\"name\": [], \"arguments\": {}}</tool_call>",
        "<tool_call>{\"arguments\": {}, \"name\": \"f\"} x</tool_call>",
        "<tool_call>{\"arguments\": {\"a\": 1,}, \"name\": \"f\"}</tool_call>",
        "<tool_call>{\"name\": \"f\", \"arguments\": \"\n\"}</tool_call>",
        "<tool_call>{\"name\": \"f\", \"arguments\": x}</tool_call>",
        "<tool_call>{\"name\": \"f\", \"arguments\": \"x\\</tool_call>",
        "<tool_call>你好</tool_call>", "<tool_call>\n</tool_call>", "<tool_call></tool_"}) {
    HermesToolParser parser;
    const std::vector<Event> events = ParseCalls(&parser, text);
    EXPECT_EQ(Fold(events).content, text);
    EXPECT_THAT(Fold(events).tool_calls, IsEmpty()) << text;
  }
}

TEST_F(HermesToolParserTest, ContentGoesOnAtTheByteThatIsWrong) {
  EXPECT_THAT(Append("<tool_call>{\"name\""), IsEmpty());
  EXPECT_THAT(Append("; oops"), ElementsAre(Content("<tool_call>{\"name\"; oops")));
  EXPECT_THAT(Append(" more"), ElementsAre(Content(" more")));
}

TEST_F(HermesToolParserTest, AValidCallAfterAMalformedOneCounts) {
  EXPECT_THAT(Parse("<tool_call>nope<tool_call>{\"name\": \"f\", \"arguments\": []}</tool_call>"),
              ElementsAre(Content("<tool_call>nope"), Start("f"), Arguments("[]")));
}

TEST_F(HermesToolParserTest, AnOpeningTagEndsACallThatWasNotClosed) {
  EXPECT_THAT(Parse("<tool_call>{\"name\": \"f\", \"arguments\": {}}\n"
                    "<tool_call>{\"name\": \"g\", \"arguments\": {}}"),
              ElementsAre(Start("f"), Arguments("{}"), Start("g", 1), Arguments("{}", 1)));
}

TEST_F(HermesToolParserTest, TagsInsideStringsAreText) {
  const std::string arguments =
      R"({"a": "<tool_call></tool_call> </tool_call></tool_", "b": "\"</tool_call>."})";
  EXPECT_THAT(Parse("<tool_call>{\"name\": \"f\", \"arguments\": " + arguments + "}</tool_call>"),
              ElementsAre(Start("f"), Arguments(arguments)));
}

TEST_F(HermesToolParserTest, AStringThatWasNeverClosedDoesNotSwallowTheNextCall) {
  EXPECT_THAT(Parse("<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"x</tool_call>\n"
                    "<tool_call>{\"name\": \"g\", \"arguments\": {\"a\": \"y</tool_call>\n"),
              ElementsAre(Start("f"), Arguments("{\"a\": \"x"), Start("g", 1),
                          Arguments("{\"a\": \"y", 1)));
  EXPECT_FALSE(parser_.truncated());
}

TEST_F(HermesToolParserTest, ATagMayFollowWhatOnlyLookedLikeOne) {
  EXPECT_THAT(Parse("<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"x</tool_</tool_call>\n"
                    "<tool_call>{\"name\": \"g\", \"arguments\": {}}<<</tool_call>bye"),
              ElementsAre(Start("f"), Arguments("{\"a\": \"x</tool_"), Start("g", 1),
                          Arguments("{}", 1), Content("bye")));
}

TEST_F(HermesToolParserTest, WhitespaceBehindATagInAStringCostsLinearTime) {
  const std::string arguments = "{\"a\": \"</tool_call>" + std::string(4 << 20, ' ') + "<\"}";
  EXPECT_EQ(Fold(Parse("<tool_call>{\"name\": \"f\", \"arguments\": " + arguments + "}"))
                .tool_calls.at(0)
                .arguments,
            arguments);
}

TEST_F(HermesToolParserTest, ACutOffStringKeepsWhatLookedLikeATag) {
  EXPECT_THAT(Parse("<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"x</tool_"),
              ElementsAre(Start("f"), Arguments("{\"a\": \"x</tool_")));
  EXPECT_TRUE(parser_.truncated());
}

TEST_F(HermesToolParserTest, SaysWhetherACallWasCutOff) {
  for (const auto& [text, truncated] : std::vector<std::pair<std::string, bool>>{
           {"<tool_call>{\"name\": \"f\", \"arguments\": {}}", false},
           {"<tool_call>{\"name\": \"f\", \"arguments\": {}", true},
           {"<tool_call>{\"name\": \"f\", \"argum", true},
           {"<tool_call>{\"name\": \"f\", \"arguments\": {}</tool_call>", false},
           {"text <tool_c", false}}) {
    HermesToolParser parser;
    ParseCalls(&parser, text);
    EXPECT_EQ(parser.truncated(), truncated) << text;
  }
}

TEST(MakeToolParser, KnowsTheNamesItLists) {
  EXPECT_THAT(ToolParserNames(), ElementsAre("hermes", "qwen3_coder"));
  for (const std::string& name : ToolParserNames()) EXPECT_OK(MakeToolParser(name, "[]"));
  EXPECT_THAT(MakeToolParser("gpt", ""),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "unknown tool parser \"gpt\"; known: hermes, qwen3_coder"));
  EXPECT_THAT(MakeToolParser("qwen3_coder", "{}"),
              StatusIs(absl::StatusCode::kInvalidArgument, "tools are not a JSON array"));
}

}  // namespace
}  // namespace vallm::tokenizer
