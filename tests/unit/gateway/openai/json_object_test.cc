#include "gateway/openai/json_object.h"

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

TEST(ParseJsonObject, OfEqualNamesTheLastCounts) {
  const auto value = ParseJsonObject(R"({"a":1,"b":2,"a":3})");
  ASSERT_OK(value);
  EXPECT_EQ(value->dump(), R"({"a":3,"b":2})");
}

}  // namespace
}  // namespace vallm::gateway
