// Numbers as Python computes, rounds and prints them. What is here once differed from Jinja2.
#include "tokenizer_service/template/numbers.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/time/time.h"
#include "tests/testing/status_matchers.h"
#include "tokenizer_service/template/big_int.h"
#include "tokenizer_service/template/render_template.h"

namespace vallm::tokenizer {
namespace {

std::string Rendered(const std::string& expression) {
  auto text = RenderTemplate("{{ " + expression + " }}", "{}", absl::UnixEpoch());
  return text.ok() ? *text : std::string(text.status().message());
}

void ExpectFails(const std::string& expression, const std::string& message) {
  EXPECT_THAT(RenderTemplate("{{ " + expression + " }}", "{}", absl::UnixEpoch()),
              vallm::testing::StatusIs(absl::StatusCode::kInvalidArgument, message))
      << expression;
}

TEST(NumbersTest, IntegersDivideWithOneRounding) {
  EXPECT_EQ(Rendered("9007199254740993 / 7"), "1286742750677284.8");
  EXPECT_EQ(Rendered("1 / 9007199254740993"), "1.1102230246251564e-16");
  EXPECT_EQ(Rendered("10 ** 25 / 7"), "1.4285714285714285e+24");
  EXPECT_EQ(Rendered("-(10 ** 400) / 10 ** 399"), "-10.0");
  EXPECT_EQ(Rendered("2 ** 80 / (2 ** 80 + 1)"), "1.0");
  ExpectFails("10 ** 400 / 3", "too large for a float");
}

TEST(NumbersTest, BigIntegersDivideAndPrintExactly) {
  const BigInt divisor = BigInt::FromDigits("999999999999999999000000001", 10);
  const BigInt quotient = BigInt::FromDigits("123456789012345678901234567890123456789", 10);
  const BigInt rest = BigInt::FromDigits("999999999999999998999999999", 10);
  const auto [found, left] = BigInt::FloorDivMod(quotient * divisor + rest, divisor);
  EXPECT_EQ(found.ToString(), quotient.ToString());
  EXPECT_EQ(left.ToString(), rest.ToString());
  EXPECT_EQ(BigInt::FromDigits("zz", 36).ToString(), "1295");
  EXPECT_EQ(BigInt::FromDigits("1000000000000000000000", 10).ToString(), "1000000000000000000000");
  EXPECT_EQ(Rendered("'%x' % (2 ** 100 + 255)"), "100000000000000000000000ff");
  EXPECT_EQ(Rendered("'{:b}'.format(5)"), "101");
  EXPECT_EQ(Rendered("'{:o}'.format(2 ** 24)"), "100000000");
}

TEST(NumbersTest, RoundsLeftOfThePointAsExactDecimals) {
  EXPECT_EQ(Rendered("1.0342181531331721e+18|round(-1)"), "1.0342181531331721e+18");
  EXPECT_EQ(Rendered("25.0|round(-1)"), "20.0");
  EXPECT_EQ(Rendered("25.5|round(-1)"), "30.0");
  EXPECT_EQ(Rendered("-35.0|round(-1)"), "-40.0");
  EXPECT_EQ(Rendered("15|round(-1)"), "20");
}

TEST(NumbersTest, FloatsWithoutATypeShowThatTheyAreFloats) {
  EXPECT_EQ(Rendered("'{:.3}'.format(698.0)"), "6.98e+02");
  EXPECT_EQ(Rendered("'{:.3}'.format(700.0)"), "7e+02");
  EXPECT_EQ(Rendered("'{:.4}'.format(698.0)"), "698.0");
  EXPECT_EQ(Rendered("'{:.3}'.format(0.5)"), "0.5");
}

TEST(NumbersTest, DigitsOfAnyScriptAreDigits) {
  EXPECT_EQ(Rendered("'٣'|int"), "3");
  EXPECT_EQ(Rendered("'１２'|int"), "12");
  EXPECT_EQ(Rendered("'𝟗𝟘'|int"), "90");
  EXPECT_EQ(Rendered("'٣.٥'|float"), "3.5");
  EXPECT_EQ(Rendered("'²'|int(-1)"), "-1");
}

TEST(NumbersTest, FormatsRefuseWhatPythonRefuses) {
  EXPECT_EQ(Rendered("'{:c}{:3c}|'.format(65, 0x42)"), "A  B|");
  EXPECT_EQ(Rendered("'%a {!a}'|format('é😀')"), "'\\xe9\\U0001f600' {!a}");
  EXPECT_EQ(Rendered("'{!a}'.format('é')"), "'\\xe9'");
  ExpectFails("'{:+c}'.format(65)", "not allowed with 'c'");
  ExpectFails("'{:c}'.format(0x110000)", "not in range");
  ExpectFails("'{:,}'.format('a')", "cannot specify ','");
  ExpectFails("'{:.3}'.format(true)", "precision not allowed");
  ExpectFails("'{} {1}'.format(1, 2)", "mix automatic and manual");
  ExpectFails("'{.}'.format(1)", "empty attribute");
}

TEST(NumbersTest, SlicesOfRangesAreRanges) {
  EXPECT_EQ(Rendered("range(2)[1:-2]"), "range(1, 0)");
  EXPECT_EQ(Rendered("range(1, 9, 3)[::-1]"), "range(7, -2, -3)");
  EXPECT_EQ(Rendered("range(1, 9, 3)[::-1]|list"), "[7, 4, 1]");
}

}  // namespace
}  // namespace vallm::tokenizer
