// Values, big integers, JSON input and text helpers on their own.
#include <gtest/gtest.h>

#include <string>

#include "tests/testing/status_matchers.h"
#include "tokenizer_service/template/big_int.h"
#include "tokenizer_service/template/json_value.h"
#include "tokenizer_service/template/repr.h"
#include "tokenizer_service/template/unicode.h"
#include "tokenizer_service/template/value.h"

namespace vallm::tokenizer {
namespace {

using vallm::testing::StatusIs;

TEST(BigIntTest, AgreesWithNativeArithmetic) {
  const int64_t values[] = {0, 1, -1, 7, -7, 999999999, 1000000000, -1000000001, INT64_MAX / 3};
  for (int64_t a : values) {
    for (int64_t b : values) {
      EXPECT_EQ((BigInt(a) + BigInt(b)).ToInt64(), a + b);
      EXPECT_EQ((BigInt(a) - BigInt(b)).ToInt64(), a - b);
      const __int128 product = static_cast<__int128>(a) * b;
      if (product == static_cast<int64_t>(product)) {
        EXPECT_EQ((BigInt(a) * BigInt(b)).ToInt64(), static_cast<int64_t>(product));
      }
      EXPECT_EQ(BigInt::Compare(BigInt(a), BigInt(b)) < 0, a < b);
      if (b == 0) continue;
      const auto [quotient, rest] = BigInt::FloorDivMod(BigInt(a), BigInt(b));
      EXPECT_EQ((quotient * BigInt(b) + rest).ToInt64(), a);
      EXPECT_TRUE(rest.is_zero() || rest.negative() == (b < 0)) << a << " " << b;
    }
  }
  EXPECT_EQ(BigInt(INT64_MIN).ToString(), "-9223372036854775808");
  EXPECT_EQ(BigInt(INT64_MIN).ToInt64(), INT64_MIN);
  EXPECT_EQ((BigInt(INT64_MAX) + BigInt(1)).ToInt64(), std::nullopt);
}

TEST(DictTest, KeepsOrderAndFindsEqualKeys) {
  auto* dict = new DictCell;
  const Value holder = Value::Dict(dict);
  for (int64_t i = 0; i < 100; ++i) dict->Set(Value::Int(i * 7), Value::Int(i));
  dict->Set(Value::Float(14.0), Value::Str("replaced"));
  EXPECT_EQ(dict->size(), 100u);
  EXPECT_EQ(dict->Find(Value::Int(14))->text(), "replaced");
  EXPECT_EQ(dict->entries()[2].first.kind(), Value::Kind::kInt);
  EXPECT_EQ(dict->Find(Value::Int(15)), nullptr);
  EXPECT_EQ(dict->Find(Value::List({})), nullptr);
}

TEST(JsonTest, KeepsNumbersAndOrder) {
  const auto value = ParseJson(
      R"({"b": 1, "a": 1.0, "n": 123456789012345678901234567890, "m": -9223372036854775808,
          "b": 1e2})",
      "x");
  ASSERT_OK(value);
  EXPECT_EQ(Repr(*value),
            "{'b': 100.0, 'a': 1.0, 'n': 123456789012345678901234567890, "
            "'m': -9223372036854775808}");
}

TEST(JsonTest, RefusesWhatIsNotJson) {
  const auto code = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(ParseJson(R"({"a": "\ud800"})", "messages"),
              StatusIs(code, "messages: lone surrogate"));
  EXPECT_THAT(ParseJson(R"(["\udc00x"])", "messages"), StatusIs(code, "lone surrogate"));
  EXPECT_THAT(ParseJson("[1,]", "tools"), StatusIs(code, "tools: malformed JSON at byte"));
  EXPECT_THAT(ParseJson("[\"\xff\"]", "tools"), StatusIs(code, "not UTF-8"));
  EXPECT_THAT(ParseJson(std::string(300, '['), "tools"), StatusIs(code, "levels deep"));
  EXPECT_EQ(*ParseJson(R"("\ud83d\ude00")", "x")->text().begin(), '\xf0');
}

TEST(UnicodeTest, FindsTheFirstInvalidByte) {
  EXPECT_EQ(FindInvalidUtf8("aé😀"), std::string_view::npos);
  EXPECT_EQ(FindInvalidUtf8("a\xc3"), 1u);
  EXPECT_EQ(FindInvalidUtf8("ab\xed\xa0\x80"), 2u);
}

TEST(UnicodeTest, WalksBothWays) {
  const std::string text = "aé你😀";
  size_t forward = 0;
  std::u32string seen;
  while (forward < text.size()) seen.push_back(NextCodePoint(text, &forward));
  EXPECT_EQ(seen, U"aé你😀");
  size_t back = text.size();
  for (size_t i = seen.size(); i-- > 0;) EXPECT_EQ(PreviousCodePoint(text, &back), seen[i]);
  EXPECT_EQ(ByteOffset(text, 3), 6u);
}

}  // namespace
}  // namespace vallm::tokenizer
