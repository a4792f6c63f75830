#include "tokenizer_service/output/stop_matcher.h"

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::tokenizer {
namespace {

using ::testing::ElementsAre;
using testing::IsOk;
using testing::StatusIs;

// What each piece released, and last what the flush did.
std::vector<std::string> Release(StopMatcher* matcher, const std::vector<std::string>& pieces) {
  std::vector<std::string> released;
  for (const std::string& piece : pieces) matcher->Append(piece, &released.emplace_back());
  matcher->Flush(&released.emplace_back());
  return released;
}

TEST(StopMatcher, HoldsBackExactlyWhatMayBegin) {
  StopMatcher matcher({"###"}, /*include_stop=*/false);
  EXPECT_THAT(Release(&matcher, {"ab#", "#", "c##", "d"}), ElementsAre("ab", "", "##c", "##d", ""));
  EXPECT_FALSE(matcher.stopped());
}

TEST(StopMatcher, EndsTheTextAcrossPieces) {
  StopMatcher matcher({"END"}, /*include_stop=*/false);
  EXPECT_THAT(Release(&matcher, {"so E", "N", "D more", "END"}),
              ElementsAre("so ", "", "", "", ""));
  ASSERT_TRUE(matcher.stopped());
  EXPECT_EQ(matcher.matched(), "END");
}

TEST(StopMatcher, CanIncludeTheStopString) {
  StopMatcher matcher({"\n\n"}, /*include_stop=*/true);
  EXPECT_THAT(Release(&matcher, {"a\n", "\nb"}), ElementsAre("a", "\n\n", ""));
}

TEST(StopMatcher, FlushReleasesABeginning) {
  StopMatcher matcher({"STOP"}, /*include_stop=*/false);
  EXPECT_THAT(Release(&matcher, {"xSTO"}), ElementsAre("x", "STO"));
}

TEST(StopMatcher, FallsBackToAShorterBeginning) {
  StopMatcher matcher({"aab"}, /*include_stop=*/false);
  EXPECT_THAT(Release(&matcher, {"aa", "a", "ab"}), ElementsAre("", "a", "a", ""));
  EXPECT_TRUE(matcher.stopped());
}

TEST(StopMatcher, WhatIsCompleteBeforeItIsArmedIsText) {
  StopMatcher matcher({"abab", "x"}, /*include_stop=*/false);
  matcher.SetArmed(false);
  EXPECT_THAT(Release(&matcher, {"xabab"}), ElementsAre("xab", "ab"));
  EXPECT_FALSE(matcher.stopped());
  // What has begun by then counts when it is complete: the last "ab" may be the first of the next.
  StopMatcher later({"abab", "x"}, /*include_stop=*/false);
  std::string released;
  later.SetArmed(false);
  later.Append("xabab", &released);
  later.SetArmed(true);
  later.Append("ab more", &released);
  EXPECT_TRUE(later.stopped());
  EXPECT_EQ(released, "xab");
}

TEST(StopMatcher, TheFirstToBeCompleteWinsThenTheLongest) {
  StopMatcher first({"abcd", "bc"}, /*include_stop=*/false);
  EXPECT_THAT(Release(&first, {"abcd"}), ElementsAre("a", ""));
  StopMatcher longest({"c", "abc"}, /*include_stop=*/false);
  EXPECT_THAT(Release(&longest, {"xabcd"}), ElementsAre("x", ""));
  EXPECT_EQ(longest.matched(), "abc");
}

TEST(StopMatcher, WithoutStopStringsEverythingPasses) {
  StopMatcher matcher({}, /*include_stop=*/false);
  EXPECT_THAT(Release(&matcher, {"ab", "c"}), ElementsAre("ab", "c", ""));
}

TEST(StopMatcher, RefusesEmptyAndInvalidStopStrings) {
  EXPECT_OK(ValidateStopStrings({"a", "停"}));
  EXPECT_THAT(ValidateStopStrings({"a", ""}),
              StatusIs(absl::StatusCode::kInvalidArgument, "stop string 1 is empty"));
  EXPECT_THAT(
      ValidateStopStrings({"a\xFF"}),
      StatusIs(absl::StatusCode::kInvalidArgument, "stop string 0 is not valid UTF-8 at byte 1"));
}

// The definition, on the whole text: the earliest end, then the longest.
std::pair<std::string, std::string> FirstStop(const std::string& text,
                                              const std::vector<std::string>& stop) {
  std::pair<std::string, std::string> best = {text, ""};
  size_t best_end = text.size() + 1;
  for (const std::string& candidate : stop) {
    const size_t at = text.find(candidate);
    if (at == std::string::npos) continue;
    const size_t end = at + candidate.size();
    if (end > best_end || (end == best_end && candidate.size() <= best.second.size())) continue;
    best_end = end;
    best = {text.substr(0, at), candidate};
  }
  return best;
}

TEST(StopMatcher, AgreesWithTheDefinitionOnRandomTexts) {
  const uint32_t seed = 7;
  std::mt19937 random(seed);
  const auto word = [&](size_t max) {
    std::string text;
    for (size_t n = 1 + random() % max; n > 0; --n) text += "ab"[random() % 2];
    return text;
  };
  for (int round = 0; round < 5000; ++round) {
    const std::string text = word(24);
    std::vector<std::string> stop;
    for (size_t n = 1 + random() % 3; n > 0; --n) stop.push_back(word(6));
    const auto [expected, expected_stop] = FirstStop(text, stop);

    StopMatcher matcher(stop, /*include_stop=*/false);
    std::string released;
    for (size_t begin = 0; begin < text.size();) {
      const size_t n = 1 + random() % 4;
      matcher.Append(std::string_view(text).substr(begin, n), &released);
      EXPECT_TRUE(expected.starts_with(released)) << "released too early";
      begin += n;
    }
    matcher.Flush(&released);
    ASSERT_EQ(released, expected) << "seed " << seed << " round " << round << " text " << text;
    ASSERT_EQ(matcher.stopped() ? matcher.matched() : "", expected_stop) << text;
  }
}

}  // namespace
}  // namespace vallm::tokenizer
