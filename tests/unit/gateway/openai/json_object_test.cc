#include "gateway/openai/json_object.h"

#include <cstdint>
#include <limits>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "nlohmann/json.hpp"
#include "tests/testing/status_matchers.h"

namespace vallm::gateway {
namespace {

using testing::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

// {"k0":0,"k1":0,…}
std::string ObjectOf(int members) {
  std::string text = "{";
  for (int i = 0; i < members; ++i) absl::StrAppend(&text, i == 0 ? "" : ",", "\"k", i, "\":0");
  return text + "}";
}

TEST(ParseJsonObject, BoundsTheMembersOfEveryObject) {
  constexpr char kText[] = "an object of more than 1024 members";
  EXPECT_OK(ParseJsonObject(ObjectOf(1024)));
  EXPECT_THAT(ParseJsonObject(ObjectOf(1025)), StatusIs(kInvalid, kText));
  EXPECT_OK(ParseJsonObject(absl::StrCat(R"({"a":[{"b":)", ObjectOf(1024), "}]}")));
  EXPECT_THAT(ParseJsonObject(absl::StrCat(R"({"a":[{"b":)", ObjectOf(1025), "}]}")),
              StatusIs(kInvalid, kText));
  // Two of them are two objects; and text is no member.
  EXPECT_OK(ParseJsonObject(absl::StrCat(R"({"a":)", ObjectOf(1000), R"(,"b":)", ObjectOf(1000),
                                         R"(,"c\":":"\\\":)", std::string(2000, ':'), "\"}")));
}

TEST(ParseJsonObject, ANulEndsNothing) {
  using std::string_literals::operator""s;
  EXPECT_THAT(ParseJsonObject("{}\0"s), StatusIs(kInvalid, "not valid JSON: NUL"));
  EXPECT_THAT(ParseJsonObject("{}\0{\"a\":1}"s), StatusIs(kInvalid, "not valid JSON: NUL"));
  EXPECT_OK(ParseJsonObject(R"({"a":"\u0000"})"));
}

TEST(ParseJsonObject, NamesTheMemberThatIsThereTwice) {
  const auto twice = [](const char* text) {
    const auto parsed = ParseJsonObject(text);
    EXPECT_THAT(parsed, StatusIs(kInvalid, "twice"));
    return std::string(parsed.status().GetPayload("vallm/param").value_or(absl::Cord()));
  };
  EXPECT_EQ(twice(R"({"a":1,"b":{"a":2},"a":3})"), "a");
  EXPECT_EQ(twice(R"({"m":[{"x":1},5,[],{"y":{"z":[{"q":1,"q":1}]}}]})"), "m[3].y.z[0].q");
  EXPECT_EQ(twice(R"({"ab":1,"\u0061b":2})"), "ab");
  EXPECT_OK(ParseJsonObject(R"({"a":{"a":[{"a":1},{"a":1}]},"b":":\":"})"));
}

TEST(ParseJsonObject, ManyMembersAreRefusedQuickly) {
  const std::string text = ObjectOf(100000);
  const absl::Time start = absl::Now();
  EXPECT_FALSE(ParseJsonObject(text).ok());
  EXPECT_LT(absl::Now() - start, absl::Milliseconds(500));
}

TEST(ParseJsonObject, BoundsNesting) {
  const auto nested = [](int depth) {
    return absl::StrCat(R"({"a":)", std::string(static_cast<size_t>(depth - 1), '['),
                        std::string(static_cast<size_t>(depth - 1), ']'), "}");
  };
  EXPECT_OK(ParseJsonObject(nested(128)));
  EXPECT_THAT(ParseJsonObject(nested(129)), StatusIs(kInvalid, "nested deeper than 128 levels"));
  EXPECT_THAT(ParseJsonObject("]]}{:"), StatusIs(kInvalid, "not valid JSON"));
}

TEST(ParseJsonObject, NamesTheByteThatIsNoUtf8) {
  EXPECT_THAT(ParseJsonObject("{\"a\":\"\xE4\xBD\xA0\xE4\xBD\"}"),
              StatusIs(kInvalid, "not valid UTF-8 at byte offset 9"));
  EXPECT_THAT(ParseJsonObject("{\"a\":\"\xED\xA0\x80\"}"),
              StatusIs(kInvalid, "not valid UTF-8 at byte offset 6"));
  EXPECT_THAT(ParseJsonObject(R"({"a":"\ud800b"})"), StatusIs(kInvalid, "lone surrogate at byte"));
  EXPECT_OK(ParseJsonObject(R"({"a":"\ud83d\ude00"})"));
}

TEST(ParseJsonObject, ANameThatComesTwiceIsRefused) {
  EXPECT_THAT(ParseJsonObject(R"({"a":1,"b":2,"a":3})").status(),
              StatusIs(absl::StatusCode::kInvalidArgument, "the request body has 'a' twice"));
}

TEST(JsonObject, IntegersOutOfRangeAreNamedSo) {
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  const auto value = *ParseJsonObject(
      R"({"low":-9223372036854775809,"high":18446744073709551616,"unsigned":9223372036854775808,
          "half":0.5,"large":1e17,"whole":5.0,"min":-9223372036854775808})");
  JsonObject object(value, "");
  constexpr char kText[] =
      "out of range; it must be between -9223372036854775808 and 9223372036854775807";
  for (const char* name : {"low", "high", "unsigned"}) {
    EXPECT_THAT(object.Integer(name, kMin, kMax), StatusIs(kInvalid, kText)) << name;
  }
  EXPECT_THAT(object.Integer("half", kMin, kMax), StatusIs(kInvalid, "not a fractional number"));
  EXPECT_THAT(object.Integer("large", 0, 9),
              StatusIs(kInvalid, "'large' is 1e+17; it must be between 0 and 9"));
  EXPECT_EQ(*object.Integer("large", kMin, kMax), 100000000000000000);
  EXPECT_EQ(*object.Integer("whole", 0, 9), 5);
  EXPECT_EQ(*object.Integer("min", kMin, kMax), kMin);
}

}  // namespace
}  // namespace vallm::gateway
