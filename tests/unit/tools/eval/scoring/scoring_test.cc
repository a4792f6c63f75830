#include <nlohmann/json.hpp>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/eval/scoring/answer_check.h"
#include "tools/eval/scoring/choice_answer.h"
#include "tools/eval/scoring/drop_answer.h"
#include "tools/eval/scoring/text_overlap.h"

namespace vallm::eval {
namespace {

using nlohmann::ordered_json;

TEST(ChoiceAnswerTest, English) {
  EXPECT_EQ(FirstStatedChoice("Let me see. The answer is (C).", "ABCDEFGHIJ"), "C");
  EXPECT_EQ(FirstStatedChoice("ANSWER: J", "ABCDEFGHIJ"), "J");
  EXPECT_EQ(FirstStatedChoice("Answer: K", "ABCD"), "A");  // the last capital: of "Answer"
  EXPECT_EQ(FirstStatedChoice("It must be B", "ABCD"), "B");
  EXPECT_EQ(FirstStatedChoice("no letters here", "ABCD"), kNoChoice);
  EXPECT_EQ(FirstStatedChoice("the answer is (A), no, the answer is (B)", "ABCD"), "A");
}

TEST(ChoiceAnswerTest, Chinese) {
  EXPECT_EQ(ChineseStatedChoice("答案是B", "ABCD"), "B");
  EXPECT_EQ(ChineseStatedChoice("A错，C错。答案：D", "ABCD"), "D");
  EXPECT_EQ(ChineseStatedChoice("因此应选择C。", "ABCD"), "C");
  EXPECT_EQ(ChineseStatedChoice("B是正确的，A是错误的", "ABCD"), "B");
  EXPECT_EQ(ChineseStatedChoice("我认为是\nB", "ABCD"), "B");
  EXPECT_EQ(ChineseStatedChoice("不知道", "ABCD"), kNoChoice);
  EXPECT_EQ(ChineseStatedChoice("The answer is (D)", "ABCD"), "D");
}

TEST(ChoiceAnswerTest, LastLone) {
  EXPECT_EQ(LastLoneChoice("A or B? \\boxed{c}"), "C");
  EXPECT_EQ(LastLoneChoice("None."), "None");
}

TEST(DropTest, ComparesNumbersAndSpans) {
  EXPECT_EQ(ScoreDrop("24", {{"24"}}).exact_match, 1);
  EXPECT_EQ(ScoreDrop("24.0", {{"24"}}).exact_match, 1);
  EXPECT_EQ(ScoreDrop("the Jason-Hanson!", {{"Jason Hanson"}}).exact_match, 1);
  EXPECT_EQ(ScoreDrop("Hanson", {{"Jason Hanson"}}).exact_match, 0);
  EXPECT_DOUBLE_EQ(ScoreDrop("Hanson", {{"Jason Hanson"}}).f1, 0.67);
  EXPECT_EQ(ScoreDrop("25 points", {{"24 points"}}).f1, 0);  // the numbers differ
  EXPECT_EQ(ScoreDrop("Hanson", {{"Bears"}, {"Hanson"}}).exact_match, 1);
  EXPECT_EQ(ScoreDrop("", {{""}}).exact_match, 0);
  EXPECT_EQ(ScoreDrop("Bears", {{"Bears", "Lions"}}).exact_match, 0);
}

TEST(DropTest, FindsTheAnswerLine) {
  EXPECT_EQ(ExtractDropAnswer("Thinking.\nAnswer: 12 yards\nmore"), "12 yards");
  EXPECT_EQ(ExtractDropAnswer("just 12"), "just 12");
}

TEST(OverlapTest, Rouge) {
  EXPECT_NEAR(RougeN("the cat sat", "the cat ran", 1).f1, 2.0 / 3, 1e-6);
  EXPECT_NEAR(RougeN("the cat sat", "the cat ran", 2).recall, 0.5, 1e-9);
  EXPECT_NEAR(RougeL("a b c d", "a c d e").precision, 0.75, 1e-9);
  // Sentences end lines, as in rouge_chinese.
  EXPECT_NEAR(RougeN("a why?because", "a b", 1).precision, 1.0 / 3, 1e-9);
  EXPECT_NEAR(RougeN("a......b", "b", 1).recall, 1, 1e-9);
  EXPECT_NEAR(RougeN("他说“好。”走", "走", 1).recall, 1, 1e-9);
  EXPECT_NEAR(RougeL("a\n \na", "a").precision, 1.0 / 3, 1e-9);
  EXPECT_NEAR(RougeN("北京很大", "北京", 1).precision, 0.5, 1e-9);
  EXPECT_EQ(RougeN("", "a", 1).f1, 0);
}

TEST(OverlapTest, Bleu) {
  EXPECT_NEAR(BleuN("the the the", "the cat", 1), 1.0 / 3, 1e-9);
  EXPECT_NEAR(BleuN("a b", "a b c", 2), std::exp(1 - 1.5), 1e-9);
  EXPECT_EQ(BleuN("a b c", "x y z", 1), 0);
  EXPECT_NEAR(BleuN("he\tdidn't\ngo", "he didn't go", 4), 1, 1e-9);
  EXPECT_NEAR(BleuN("one—two", "one — two", 3), 1, 1e-9);
}

bool Passes(const char* check, const std::string& answer, JsonRef calls = nullptr) {
  const ordered_json json = ordered_json::parse(check);
  EXPECT_TRUE(ValidateCheck(json).ok()) << ValidateCheck(json);
  return PassesCheck(json, answer, calls, nullptr);
}

TEST(AnswerCheckTest, EveryType) {
  EXPECT_TRUE(Passes(R"({"type":"number","value":470})", "94 * 5 = 470"));
  EXPECT_TRUE(Passes(R"({"type":"number","value":1234})", "\\boxed{1,234}. Not 7."));
  EXPECT_FALSE(Passes(R"({"type":"number","value":470})", "471"));
  EXPECT_TRUE(Passes(R"({"type":"exact","value":"hi"})", " hi\n"));
  EXPECT_FALSE(Passes(R"({"type":"exact","value":"hi"})", "Hi"));
  EXPECT_TRUE(Passes(R"({"type":"contains","value":["Paris","city"]})", "paris is a CITY"));
  EXPECT_FALSE(Passes(R"({"type":"contains","value":["Paris","city"]})", "paris"));
  EXPECT_TRUE(Passes(R"({"type":"any","value":["x","y"]})", "why"));
  EXPECT_TRUE(Passes(R"({"type":"regex","value":"^是的"})", "是的，对"));
  EXPECT_FALSE(Passes(R"({"type":"regex","value":"^是的"})", "不是的"));
  EXPECT_TRUE(Passes(R"({"type":"choice","value":"D"})", "答案是D。79 + 32 = 111。"));
  EXPECT_FALSE(Passes(R"({"type":"choice","value":"D"})", "D? ANSWER: C"));
  EXPECT_TRUE(Passes(R"({"type":"json","value":{"a":1,"b":2}})", "```json\n{\"b\":2,\"a\":1}```"));
  EXPECT_FALSE(Passes(R"({"type":"json","value":{"a":1}})", "{\"a\":2}"));
  EXPECT_TRUE(Passes(R"({"type":"items","n":2,"allowed":["x","y","z"]})", "1. x\n- z"));
  EXPECT_FALSE(Passes(R"({"type":"items","n":2,"allowed":["x","y","z"]})", "1. x\n2. x"));
  EXPECT_TRUE(Passes(R"({"type":"no_call","value":["Done"]})", "Done."));
  EXPECT_FALSE(Passes(R"({"type":"no_call","value":["Done"]})", "Not yet."));
}

TEST(AnswerCheckTest, ToolCalls) {
  const auto calls = ShareJson(ordered_json::parse(
      R"([{"type":"function","function":{"name":"add","arguments":"{\"b\": 2, \"a\": 1}"}}])"));
  const char* check = R"({"type":"tool_calls","value":[{"name":"add","arguments":{"a":1,"b":2}}]})";
  EXPECT_TRUE(Passes(check, "", calls));
  EXPECT_FALSE(Passes(check, "and text", calls));
  EXPECT_FALSE(Passes(check, ""));
  EXPECT_FALSE(Passes(R"({"type":"no_call","value":[]})", "", calls));
}

TEST(AnswerCheckTest, RefusesMalformedChecks) {
  for (const char* check :
       {R"({"type":"nothing"})", R"({"type":"number"})", R"({"type":"contains","value":"x"})",
        R"({"type":"regex","value":"("})", R"({"type":"python","func":"f","tests":[[1]]})"}) {
    EXPECT_FALSE(ValidateCheck(ordered_json::parse(check)).ok()) << check;
  }
}

}  // namespace
}  // namespace vallm::eval
