#include "engine_service/device/vacc/visible_dies.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::vallm::testing::StatusIs;

TEST(VisibleDiesTest, ReadsNumbersAndRangesInTheOrderGiven) {
  EXPECT_THAT(*ParseDies("5"), ElementsAre(5));
  EXPECT_THAT(*ParseDies("0-3,5,7"), ElementsAre(0, 1, 2, 3, 5, 7));
  EXPECT_THAT(*ParseDies("7, 4 - 5 ,0"), ElementsAre(7, 4, 5, 0)) << "rank 0 has the first";
  EXPECT_EQ(FormatDies({7, 4, 5}), "7,4,5");
}

TEST(VisibleDiesTest, RefusesWhatIsNoList) {
  for (const char* text : {"", ",", "1,", "a", "-1", "1-", "3-1", "1-2-3", "0x1", "1;2", "4096",
                           "0-99999999999", "all"}) {
    EXPECT_THAT(ParseDies(text), StatusIs(absl::StatusCode::kInvalidArgument, "no list of dies"))
        << text;
  }
  EXPECT_THAT(ParseDies("1,0-2"), StatusIs(absl::StatusCode::kInvalidArgument, "die 1 twice"));
}

TEST(VisibleDiesTest, AbsentMeansAllAndUnknownDiesAreNamed) {
  EXPECT_THAT(*VisibleDies(std::nullopt, 3), ElementsAre(0, 1, 2));
  EXPECT_THAT(*VisibleDies(std::nullopt, 0), IsEmpty());
  EXPECT_THAT(*VisibleDies("2,0", 3), ElementsAre(2, 0));
  EXPECT_THAT(VisibleDies("1-3", 3),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "VACC_VISIBLE_DEVICES names die 3; this machine has dies 0 to 2"));
  EXPECT_THAT(VisibleDies("0", 0), StatusIs(absl::StatusCode::kInvalidArgument, "has none"));
  EXPECT_THAT(VisibleDies("x", 3),
              StatusIs(absl::StatusCode::kInvalidArgument, "VACC_VISIBLE_DEVICES: \"x\""));
}

TEST(VisibleDiesTest, ABlankVariableIsNone) {
  setenv(kVisibleDiesVariable, " ", 1);
  EXPECT_EQ(VisibleDiesFromEnvironment(), std::nullopt);
  setenv(kVisibleDiesVariable, "3", 1);
  EXPECT_EQ(VisibleDiesFromEnvironment(), "3");
  unsetenv(kVisibleDiesVariable);
  EXPECT_EQ(VisibleDiesFromEnvironment(), std::nullopt);
}

TEST(VisibleDiesTest, WhatAPluginRemovesIsKept) {
  setenv(kVisibleDiesVariable, "1,2", 1);
  {
    const VisibleDiesKeeper keeper;
    unsetenv(kVisibleDiesVariable);
  }
  EXPECT_EQ(VisibleDiesFromEnvironment(), "1,2");
  setenv(kVisibleDiesVariable, "3", 1);
  EXPECT_EQ(VisibleDiesFromEnvironment(), "3") << "what is set now counts";
  unsetenv(kVisibleDiesVariable);
  { const VisibleDiesKeeper keeper; }
  EXPECT_EQ(VisibleDiesFromEnvironment(), "1,2") << "loading again changes nothing";
}

}  // namespace
}  // namespace vallm::engine
