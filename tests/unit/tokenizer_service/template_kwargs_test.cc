#include "tokenizer_service/template_kwargs.h"

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
