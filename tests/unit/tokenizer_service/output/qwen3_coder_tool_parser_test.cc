#include "tokenizer_service/output/qwen3_coder_tool_parser.h"

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/testing/status_matchers.h"
#include "tests/unit/tokenizer_service/output/event_collector.h"

namespace vallm::tokenizer {
namespace {

using testing::EventCollector;
using ::testing::IsEmpty;
using testing::IsOk;
using testing::ParseCalls;
using ::testing::SizeIs;

const char kTools[] = R"([{"type": "function", "function": {"name": "f", "parameters": {
    "type": "object", "properties": {
      "text": {"type": "string"}, "maybe": {"type": ["string", "null"]}, "any": {},
      "count": {"type": "integer"}, "flag": {"type": "boolean"}, "list": {"type": "array"},
      "map": {"type": "object"}, "limit": {"anyOf": [{"type": "number"}, {"type": "null"}]},
      "label": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}}},
    {"name": "bare", "parameters": {"properties": {"n": {"type": "integer"}}}},
    {"type": "function"}, 5])";

class Qwen3CoderTest : public ::testing::Test {
 protected:
  Qwen3CoderTest() : parser_(*ToolSchemas::FromJson(kTools)) {}

  std::string Append(std::string_view text) {
    EventCollector collector;
    parser_.Append(text, &collector);
    events_.insert(events_.end(), collector.events.begin(), collector.events.end());
    std::string released;
    for (const Event& event : collector.events) released += event.text;
    return released;
  }
  ParsedOutput Finish() {
    EventCollector collector;
    parser_.Flush(&collector);
    events_.insert(events_.end(), collector.events.begin(), collector.events.end());
    return Fold(events_);
  }
  // The arguments of one call of f with these parameters.
  static std::string Arguments(std::string_view parameters) {
    Qwen3CoderToolParser parser(*ToolSchemas::FromJson(kTools));
    const ParsedOutput output =
        Fold(ParseCalls(&parser, "<tool_call>\n<function=f>\n" + std::string(parameters) +
                                     "</function>\n</tool_call>"));
    EXPECT_THAT(output.tool_calls, SizeIs(1));
    EXPECT_EQ(output.content, "");
    return output.tool_calls.at(0).arguments;
  }
  static std::string Value(const std::string& parameter, const std::string& value) {
    return Arguments("<parameter=" + parameter + ">\n" + value + "\n</parameter>\n");
  }

  Qwen3CoderToolParser parser_;
  std::vector<Event> events_;
};

TEST_F(Qwen3CoderTest, StreamsTextParameters) {
  EXPECT_EQ(Append("Hi <tool_call>\n<function="), "Hi ");
  EXPECT_EQ(Append("f>\n"), "f");
  EXPECT_EQ(Append("<parameter=text>\nline \"1\""), R"({"text": "line \"1\")");
  EXPECT_EQ(Append("\n"), "") << "a line break may be markup";
  EXPECT_EQ(Append("line 2\n</param"), R"(\nline 2)");
  EXPECT_EQ(Append("eter>\n</function>\n</tool_call>\nBye"), "\"}\nBye");
  const ParsedOutput output = Finish();
  EXPECT_EQ(output.content, "Hi \nBye");
  ASSERT_THAT(output.tool_calls, SizeIs(1));
  EXPECT_EQ(output.tool_calls[0].name, "f");
  EXPECT_EQ(output.tool_calls[0].arguments, R"({"text": "line \"1\"\nline 2"})");
  EXPECT_FALSE(parser_.truncated());
}

TEST_F(Qwen3CoderTest, WithoutParametersTheArgumentsAreEmpty) { EXPECT_EQ(Arguments(""), "{}"); }

TEST_F(Qwen3CoderTest, TheSchemaSaysWhatIsText) {
  EXPECT_EQ(Value("text", "12"), R"({"text": "12"})");
  EXPECT_EQ(Value("any", "12"), R"({"any": "12"})");
  EXPECT_EQ(Value("unknown", "[1]"), R"({"unknown": "[1]"})");
  EXPECT_EQ(Value("label", "1"), R"({"label": "1"})");
  EXPECT_EQ(Value("count", "12"), R"({"count": 12})");
  EXPECT_EQ(Value("flag", "true"), R"({"flag": true})");
  EXPECT_EQ(Value("list", "[1, \"a\"]"), R"({"list": [1, "a"]})");
  EXPECT_EQ(Value("map", "{\"a\":\n {}}"), "{\"map\": {\"a\":\n {}}}");
  EXPECT_EQ(Value("limit", "1e3"), R"({"limit": 1e3})");
}

TEST_F(Qwen3CoderTest, ASchemaCannotExhaustTheStack) {
  constexpr int kDepth = 200'000;
  std::string tools = R"([{"name": "f", "parameters": {"properties": {"n": )";
  for (int i = 0; i < kDepth; ++i) tools += R"({"anyOf": [)";
  for (int i = 0; i < kDepth; ++i) tools += "]}";
  const auto schemas = ToolSchemas::FromJson(tools + "}}}]");
  ASSERT_THAT(schemas, IsOk());
  EXPECT_TRUE(schemas->IsText("f", "n"));
}

TEST_F(Qwen3CoderTest, WhatIsNoJsonBecomesAString) {
  EXPECT_EQ(Value("count", "a dozen"), R"({"count": "a dozen"})");
  EXPECT_EQ(Value("list", "[1, 'a']"), R"({"list": "[1, 'a']"})");
  EXPECT_EQ(Value("map", ""), R"({"map": ""})");
}

TEST_F(Qwen3CoderTest, ConstantsOfJsonAndPython) {
  for (const std::string parameter : {"text", "maybe", "count"}) {
    EXPECT_EQ(Value(parameter, "null"), "{\"" + parameter + "\": null}");
  }
  EXPECT_EQ(Value("text", "nullable"), R"({"text": "nullable"})");
  EXPECT_EQ(Value("text", "nul"), R"({"text": "nul"})");
  EXPECT_EQ(Value("flag", "True"), R"({"flag": true})");
  EXPECT_EQ(Value("flag", "False"), R"({"flag": false})");
  EXPECT_EQ(Value("limit", "None"), R"({"limit": null})");
}

TEST_F(Qwen3CoderTest, OneLineBreakAtEachEndIsMarkup) {
  EXPECT_EQ(Arguments("<parameter=text>a</parameter>"), R"({"text": "a"})");
  EXPECT_EQ(Value("text", ""), R"({"text": ""})");
  EXPECT_EQ(Value("text", "\na\n"), R"({"text": "\na\n"})");
  EXPECT_EQ(Arguments("<parameter=text>\n</parameter>"), R"({"text": ""})");
}

TEST_F(Qwen3CoderTest, ValuesMayLookLikeMarkup) {
  EXPECT_EQ(Value("text", "a < b </para> <parameter=x> </function> </tool_call> <tool_call>"),
            R"({"text": "a < b </para> <parameter=x> </function> </tool_call> <tool_call>"})");
  EXPECT_EQ(Value("text", "\n\n</\n<<"), R"({"text": "\n\n</\n<<"})");
}

TEST_F(Qwen3CoderTest, AValueEndsWhereTheNextTagBeginsALine) {
  EXPECT_EQ(Arguments("<parameter=text>\na\n<parameter=count>\n1\n"),
            R"({"text": "a", "count": 1})");
  Append("<tool_call>\n<function=f>\n<parameter=text>\na\n</tool_call>\n");
  EXPECT_EQ(Finish().tool_calls.at(0).arguments, R"({"text": "a"})");
  EXPECT_FALSE(parser_.truncated());
}

TEST_F(Qwen3CoderTest, AnEmptyValueMayLackItsTag) {
  EXPECT_EQ(Arguments("<parameter=text>\n<parameter=count>\n1\n"), R"({"text": "", "count": 1})");
  EXPECT_EQ(Arguments("<parameter=text>\n a<parameter=x>\n"), R"({"text": " a<parameter=x>"})");
}

TEST_F(Qwen3CoderTest, IgnoresWhatDoesNotBelongBetweenParameters) {
  EXPECT_EQ(Arguments("x < y <<parameter=text>\na\n</parameter></parameter>\n, "),
            R"({"text": "a"})");
}

TEST_F(Qwen3CoderTest, SeveralCalls) {
  Append(
      "<tool_call>\n<function=f>\n</function>\n</tool_call>\n<tool_call>\n<function=bare>\n"
      "<parameter=n>\n1\n</parameter>\n<tool_call><function=g></function><function=h>\n");
  const ParsedOutput output = Finish();
  ASSERT_THAT(output.tool_calls, SizeIs(4));
  EXPECT_EQ(output.tool_calls[1], (ParsedOutput::ToolCall{"bare", R"({"n": 1})"}));
  EXPECT_EQ(output.tool_calls[2], (ParsedOutput::ToolCall{"g", "{}"}));
  EXPECT_EQ(output.tool_calls[3].name, "h");
  EXPECT_TRUE(parser_.truncated());
}

TEST_F(Qwen3CoderTest, WhatIsNoCallIsContent) {
  for (const std::string text :
       {"<tool_call></tool_call>", "<tool_call>\n{\"name\": \"f\"}\n</tool_call>",
        "<tool_call>\n<function=\nf></tool_call>", "<tool_call> <function=>", "<tool_call>你好",
        "<tool_call>\n<functio", "a <tool"}) {
    Qwen3CoderToolParser parser{ToolSchemas()};
    const std::vector<Event> events = ParseCalls(&parser, text);
    EXPECT_EQ(Fold(events).content, text);
    EXPECT_THAT(Fold(events).tool_calls, IsEmpty()) << text;
  }
}

TEST_F(Qwen3CoderTest, ACallMayFollowWhatIsNoCall) {
  Append("<tool_call><tool_call><function=f></function></tool_call>");
  const ParsedOutput output = Finish();
  EXPECT_EQ(output.content, "<tool_call>");
  EXPECT_THAT(output.tool_calls, SizeIs(1));
}

TEST_F(Qwen3CoderTest, ACutOffStringKeepsWhatCame) {
  Append("<tool_call><function=f><parameter=text>\nabc\n</par");
  EXPECT_EQ(Finish().tool_calls.at(0).arguments, R"({"text": "abc\n</par)");
  EXPECT_TRUE(parser_.truncated());
}

TEST_F(Qwen3CoderTest, ANameWithoutEndTakesLinearTime) {
  // Reading each byte again for every one that follows would take hours.
  const std::string name(4'000'000, 'x');
  Append("<tool_call>\n<function=" + name);
  EXPECT_EQ(Finish().content, "<tool_call>\n<function=" + name);
}

TEST_F(Qwen3CoderTest, ArgumentsAreJsonWhateverTheText) {
  std::string text = "</parameter";
  for (int byte = 1; byte < 128; ++byte) text += static_cast<char>(byte);
  EXPECT_EQ(nlohmann::json::parse(Value("text", text)).at("text"), text);
}

}  // namespace
}  // namespace vallm::tokenizer
