#include "tokenizer_service/template_kwargs.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::tokenizer {
namespace {

using testing::StatusIs;

std::string Merge(std::string_view defaults, std::string_view request) {
  const auto merged = MergeTemplateKwargs(defaults, request);
  EXPECT_OK(merged);
  return merged.value_or("");
}

TEST(TemplateKwargs, OneSideAloneIsKeptAsItIs) {
  EXPECT_EQ(Merge("", ""), "");
  EXPECT_EQ(Merge("", R"({"a": 1.0})"), R"({"a": 1.0})");
  EXPECT_EQ(Merge(R"({"a": 1.0})", ""), R"({"a": 1.0})");
  EXPECT_EQ(Merge(R"({"a": 1.0})", " { } "), R"({"a": 1.0})");
}

TEST(TemplateKwargs, TheRequestWinsAndKeepsItsSpelling) {
  EXPECT_EQ(Merge(R"({"a":1,"b":2})", R"({"b": 123456789012345678901234567890})"),
            R"({"a":1,"b": 123456789012345678901234567890})");
  EXPECT_EQ(Merge(R"({"a":1})", R"( {"a":2} )"), R"( {"a":2} )");
}

TEST(TemplateKwargs, ManyMembersTakeLinearTime) {
  std::string request = "{";
  for (int i = 0; i < 300'000; ++i) request += "\"" + std::to_string(i) + "\":1,";
  request.back() = '}';
  EXPECT_EQ(Merge(R"({"a":1,"7":2})", request), R"({"a":1,)" + request.substr(1));
}

TEST(TemplateKwargs, RefusesWhatIsNoObject) {
  for (const char* json : {"1", "[]", "null", "{", "{} x"}) {
    EXPECT_THAT(MergeTemplateKwargs("{}", json),
                StatusIs(absl::StatusCode::kInvalidArgument, "template_kwargs_json"));
    EXPECT_THAT(CheckTemplateKwargs(json, "--flag"),
                StatusIs(absl::StatusCode::kInvalidArgument, "--flag is not a JSON object"));
  }
}

}  // namespace
}  // namespace vallm::tokenizer
