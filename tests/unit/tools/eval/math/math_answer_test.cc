#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tools/eval/math/answer_text.h"
#include "tools/eval/math/equality.h"
#include "tools/eval/math/expression.h"
#include "tools/eval/math/number_words.h"

namespace vallm::eval {
namespace {

struct Pair {
  const char* answer;
  const char* reference;
};

bool Same(const Pair& pair) {
  return EqualMath(NormalMathAnswer(pair.answer), NormalMathAnswer(pair.reference));
}

TEST(ExtractMathAnswerTest, TakesTheLastBox) {
  EXPECT_EQ(ExtractMathAnswer("first \\boxed{1}, then \\boxed{\\frac{a}{b}}."), "\\frac{a}{b}");
  EXPECT_EQ(ExtractMathAnswer("so \\boxed{\\{1,2\\}}"), "{1,2}");
  EXPECT_EQ(ExtractMathAnswer("it is $\\boxed 7$ here"), "7");
}

TEST(ExtractMathAnswerTest, FallsBackToPhrasesAndNumbers) {
  EXPECT_EQ(ExtractMathAnswer("So the answer is 42."), "42");
  EXPECT_EQ(ExtractMathAnswer("所以答案是：12\n\n完。"), "：12");
  EXPECT_EQ(ExtractMathAnswer("I get 3, or rather 1,234"), "1234");
  EXPECT_EQ(ExtractMathAnswer("no idea"), "");
  EXPECT_EQ(ExtractMathAnswer("The final answer is $x^2$. I hope it is correct."), "x^2");
}

TEST(NormalMathAnswerTest, WritesAnswersInOneWay) {
  EXPECT_EQ(NormalMathAnswer("\\dfrac12"), "\\frac{1}{2}");
  EXPECT_EQ(NormalMathAnswer("3/4"), "\\frac{3}{4}");
  EXPECT_EQ(NormalMathAnswer("12.50\\%"), "12.50");
  EXPECT_EQ(NormalMathAnswer("\\text{five}"), "5");
  EXPECT_EQ(NormalMathAnswer("10\\text{ cm}^2"), "10");
  EXPECT_EQ(NormalMathAnswer("$x = 3.0$"), "3");
  EXPECT_EQ(NormalMathAnswer("3, 1, 2"), "1,2,3");
  EXPECT_EQ(NormalMathAnswer("10,\\!000"), "10,000");
  EXPECT_EQ(NormalMathAnswer("\\sqrt3"), "\\sqrt{3}");
  EXPECT_EQ(NormalMathAnswer("90^\\circ"), "90");
}

TEST(NumberWordsTest, ReadsNumbers) {
  EXPECT_EQ(NumberFromWords("twenty-one"), "21");
  EXPECT_EQ(NumberFromWords("two hundred and five"), "205");
  EXPECT_EQ(NumberFromWords("three million four thousand"), "3004000");
  EXPECT_EQ(NumberFromWords("two point five"), "2.5");
  EXPECT_FALSE(NumberFromWords("apples").has_value());
  EXPECT_FALSE(NumberFromWords("one thousand two million").has_value());
}

TEST(EqualMathTest, KnowsWhatIsEqual) {
  const std::vector<Pair> equal = {
      {"\\frac{1}{2}", "0.5"},
      {"0.3333", "\\frac{1}{3}"},
      {"2\\sqrt{3}", "\\sqrt{12}"},
      {"x^2+2x+1", "(x+1)^2"},
      {"(x-1)(x+1)", "x^2-1"},
      {"3\\frac{1}{2}", "\\frac{7}{2}"},
      {"50", "50\\%"},
      {"0.5", "50"},
      {"\\{2,1\\}", "\\{1,2\\}"},
      {"\\sqrt{2}, 1", "1, \\sqrt{2}"},
      {"1\\pm\\sqrt{2}", "1-\\sqrt{2},1+\\sqrt{2}"},
      {"(1,\\frac{1}{2})", "(1,0.5)"},
      {"[3,4)\\cup(1,2]", "(1,2]\\cup[3,4)"},
      {"\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "\\begin{bmatrix}1 & 2\\\\ 3 & 4\\end{bmatrix}"},
      {"2a-b=-1", "b-2a=1"},
      {"x=5", "5"},
      {"B", "B"},
      {"(B) text", "B"},
      {"10,000", "10000"},
      {"x<3", "3>x"},
      {"\\log_2 8", "3"},
      {"\\sin^2 x+\\cos^2 x", "1"},
      {"\\pi/4", "\\frac{\\pi}{4}"},
      {"5!", "120"},
      {"\\binom{5}{2}", "10"},
      {"|-3|", "3"},
      {"e^{\\ln 2}", "2"},
      {"2^{10}", "1024"},
      {"-\\infty", "-\\infty"},
      {"025", "25"},
      {"\\frac{\\sqrt{3}}{3}", "\\frac{1}{\\sqrt{3}}"},
      {"8\\pi", "25.1327"},
      {"100, 200", "200, 100"},
      {"(\\sin x)^2", "\\sin^2 x"},
      {"\\pi r^2", "r^2 \\pi"},
      {"5:6", "\\frac{5}{6}"},
  };
  for (const Pair& pair : equal) EXPECT_TRUE(Same(pair)) << pair.answer << " | " << pair.reference;
}

TEST(EqualMathTest, KnowsWhatIsNot) {
  const std::vector<Pair> different = {
      {"\\frac{1}{2}", "\\frac{1}{3}"},
      {"x^2+1", "x^2+2"},
      {"x", "y"},
      {"1,2", "1,3"},
      {"(1,2)", "(2,1)"},
      {"", "5"},
      {"\\sqrt{2}", "2"},
      {"5", "-5"},
      {"x+1", "x-1"},
      {"\\sqrt{x^2}", "x"},
      {"\\infty", "-\\infty"},
      {"\\begin{pmatrix}1&2\\end{pmatrix}", "\\begin{pmatrix}2&1\\end{pmatrix}"},
      {"(1,2)\\cup(3,4)", "(1,2)"},
      {"2a-b=1", "2a-b=2"},
      {"blue", "eulb"},
      {"x<3", "x>3"},
      {"0.333", "\\frac{1}{3}"},
      {"1\\pm2", "3"},
  };
  for (const Pair& pair : different) {
    EXPECT_FALSE(Same(pair)) << pair.answer << " | " << pair.reference;
  }
}

TEST(EqualMathTest, SurvivesWhatIsNoMaths) {
  EXPECT_FALSE(EqualMath(std::string(5000, '('), "1"));
  EXPECT_FALSE(EqualMath(std::string(5000, '-') + "1", "2"));
  EXPECT_FALSE(EqualMath("\\frac{", "1"));
  EXPECT_FALSE(EqualMath("答案", "1"));
}

TEST(WithoutWordsTest, LeavesTheValue) {
  EXPECT_EQ(WithoutWords("5厘米"), "5");
  EXPECT_EQ(WithoutWords("：12元。"), "12");
  EXPECT_EQ(WithoutWords("12 cm^2"), "12");
  EXPECT_EQ(WithoutWords("面积是\\frac{1}{2}"), "\\frac{1}{2}");
  EXPECT_EQ(WithoutWords("7 apples"), "7");
  EXPECT_EQ(WithoutWords("厘米"), "厘米");
  EXPECT_EQ(WithoutWords("x^2"), "x^2");
}

TEST(ExpressionTest, RefusesWhatIsNoExpression) {
  for (const char* text :
       {"", "1+", "(1", "1)", "\\frac{1}", "1=2", "\\cup", "{1,2}", "|1", "^2"}) {
    EXPECT_FALSE(Expression::Parse(text).ok()) << text;
  }
}

}  // namespace
}  // namespace vallm::eval
