#include "tools/jsonl/json_row.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::tools {
namespace {

using ::testing::ElementsAre;
using testing::IsOk;
using ::testing::Pair;
using testing::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

JsonRow Row(std::string_view text) {
  auto row = JsonRow::Parse(text);
  EXPECT_THAT(row, IsOk());
  return row.ok() ? *row : JsonRow();
}

TEST(JsonRow, KeepsTheTextOfMembers) {
  const JsonRow row = Row(R"( { "id" : 123456789012345678901234567890 , "x":{"b":1.0,"a":1e5},)"
                          R"("s\u0021":"}," } )");
  EXPECT_THAT(row.members(), ElementsAre(Pair("id", "123456789012345678901234567890"),
                                         Pair("x", R"({"b":1.0,"a":1e5})"), Pair("s!", R"("},")")));
  EXPECT_EQ(row.Raw("absent"), "");
}

TEST(JsonRow, TakesTheLastOfTwoMembersWithOneName) {
  EXPECT_THAT(Row(R"({"a":1,"a":2})").members(), ElementsAre(Pair("a", "2")));
}

TEST(JsonRow, RefusesWhatIsNotAnObject) {
  EXPECT_THAT(JsonRow::Parse("[1]"), StatusIs(kInvalid, "at byte 0"));
  EXPECT_THAT(JsonRow::Parse(""), StatusIs(kInvalid, "unexpected end at byte 0"));
  EXPECT_THAT(JsonRow::Parse(R"({"a":1)"), StatusIs(kInvalid, "unexpected end at byte 6"));
  EXPECT_THAT(JsonRow::Parse(R"({"a":1} x)"), StatusIs(kInvalid, "at byte 8"));
  EXPECT_THAT(JsonRow::Parse(R"({"a" 1})"), StatusIs(kInvalid, "at byte 5"));
  EXPECT_THAT(JsonRow::Parse(R"({1:1})"), StatusIs(kInvalid, "not a JSON object"));
  EXPECT_THAT(JsonRow::Parse(R"({"a":1,})"), StatusIs(kInvalid, "at byte 7"));
  EXPECT_THAT(JsonRow::Parse(R"({"a":tru})"), StatusIs(kInvalid, "at byte"));
}

TEST(JsonRow, FailsOnlyForTheMemberThatIsMalformed) {
  const JsonRow row = Row(R"({"id":"a","text":"\ud800","ids":[1,2147483648]})");
  EXPECT_EQ(row.String("id").value(), "a");
  EXPECT_THAT(row.String("text"), StatusIs(kInvalid, "'text' is malformed"));
  EXPECT_THAT(row.Ids("ids"), StatusIs(kInvalid, "'ids' must be a list of token ids"));
  EXPECT_THAT(row.String("absent"), StatusIs(kInvalid, "'absent' is missing"));
}

TEST(JsonRow, RefusesTextThatIsNotUtf8) {
  EXPECT_THAT(Row("{\"text\":\"\xff\"}").String("text"), StatusIs(kInvalid, "'text' is malformed"));
}

TEST(JsonRow, TakesNullForAbsent) {
  const JsonRow row = Row(R"({"a":null})");
  EXPECT_FALSE(row.Has("a"));
  EXPECT_EQ(row.OptionalString("a").value(), std::nullopt);
  EXPECT_EQ(row.OptionalInt("b").value(), std::nullopt);
  EXPECT_THAT(row.String("a"), StatusIs(kInvalid, "'a' must be a string"));
}

TEST(JsonRow, ChecksTypes) {
  const JsonRow row = Row(R"({"b":true,"i":-9223372036854775808,"u":9223372036854775808,"d":0.5})");
  EXPECT_EQ(row.OptionalBool("b").value(), true);
  EXPECT_EQ(row.OptionalInt("i").value(), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(row.OptionalNumber("d").value(), 0.5);
  EXPECT_THAT(row.OptionalInt("u"), StatusIs(kInvalid, "64-bit"));
  EXPECT_THAT(row.OptionalInt("d"), StatusIs(kInvalid, "64-bit"));
  EXPECT_THAT(row.OptionalBool("d"), StatusIs(kInvalid, "true or false"));
  EXPECT_THAT(row.OptionalNumber("b"), StatusIs(kInvalid, "a number"));
}

}  // namespace
}  // namespace vallm::tools
