#include "engine_service/speculation/prompt_lookup.h"

#include <algorithm>
#include <random>
#include <vector>

#include "gmock/gmock.h"

namespace vallm::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Every place in the text is looked at.
std::optional<NgramIndex::Match> ByLooking(const std::vector<int32_t>& text, int32_t min_length,
                                           int32_t max_length) {
  std::optional<NgramIndex::Match> best;
  const auto size = static_cast<int32_t>(text.size());
  for (int32_t end = size - 1; end > 0; --end) {
    int32_t length = 0;
    while (length < std::min(max_length, end) && text[static_cast<size_t>(end - 1 - length)] ==
                                                     text[static_cast<size_t>(size - 1 - length)]) {
      ++length;
    }
    if (length >= min_length && (!best || length > best->length)) best = {end, length};
  }
  return best;
}

TEST(NgramIndex, FindsWhatLookingEverywhereFinds) {
  std::mt19937 random(1);
  int found = 0;
  for (int round = 0; round < 300; ++round) {
    const auto min_length = static_cast<int32_t>(1 + random() % 4);
    const auto max_length = min_length + static_cast<int32_t>(random() % 6);
    const auto vocab = 2 + random() % 6;
    NgramIndex index(min_length, max_length);
    std::vector<int32_t> text;
    for (int i = 0; i < 100; ++i) {
      ASSERT_EQ(index.LongestMatch(), ByLooking(text, min_length, max_length));
      text.push_back(static_cast<int32_t>(random() % vocab));
      index.Append(text.back());
      found += index.LongestMatch().has_value();
    }
  }
  EXPECT_GT(found, 10000);
}

PromptLookupOptions Options(int32_t num_tokens) {
  return {.num_tokens = num_tokens, .min_length = 2, .max_length = 4};
}

std::vector<int32_t> GuessOf(PromptLookup& lookup, const std::vector<int32_t>& output) {
  const auto guess = lookup.Guess(output);
  return {guess.begin(), guess.end()};
}

TEST(PromptLookup, GuessesWhatFollowedTheLastTime) {
  PromptLookup lookup(Options(3), std::vector<int32_t>{1, 2, 3, 4, 5, 9}, {});
  EXPECT_THAT(GuessOf(lookup, {2}), IsEmpty());
  EXPECT_THAT(GuessOf(lookup, {2, 3}), ElementsAre(4, 5, 9));
}

TEST(PromptLookup, TheLongestMatchCounts) {
  PromptLookup lookup(Options(1), std::vector<int32_t>{7, 1, 2, 3, 5, 1, 2, 4, 7, 1, 2}, {});
  EXPECT_THAT(GuessOf(lookup, {}), ElementsAre(3));
}

TEST(PromptLookup, ResumedOutputIsPartOfTheText) {
  PromptLookup lookup(Options(2), std::vector<int32_t>{9}, std::vector<int32_t>{1, 2, 3, 1, 2});
  EXPECT_THAT(GuessOf(lookup, {1, 2, 3, 1, 2}), ElementsAre(3, 1));
}

TEST(PromptLookup, GuessesLessAfterAMissAndMoreAfterAHit) {
  std::vector<int32_t> prompt;
  for (int32_t id = 0; id < 40; ++id) prompt.push_back(id);
  PromptLookup lookup(Options(8), prompt, {});
  std::vector<int32_t> output = {0, 1};
  EXPECT_EQ(GuessOf(lookup, output).size(), 8u);
  output.insert(output.end(), {2, 100, 5, 6});  // one held
  EXPECT_EQ(GuessOf(lookup, output).size(), 4u);
  output.insert(output.end(), {7, 8, 9, 10, 11});  // all held
  EXPECT_EQ(GuessOf(lookup, output).size(), 8u);
}

TEST(PromptLookup, PausesWhileNothingHolds) {
  std::mt19937 random(2);
  std::vector<int32_t> output = {1, 2};
  PromptLookup lookup(Options(4), std::vector<int32_t>{1, 2, 3, 3, 3}, {});
  int guesses = 0;
  for (int i = 0; i < 1000; ++i) {
    guesses += !GuessOf(lookup, output).empty();
    output.insert(output.end(), {static_cast<int32_t>(100 + i), 1, 2});  // never what followed
  }
  EXPECT_GT(guesses, 10);
  EXPECT_LT(guesses, 100);
}

TEST(ResolvePromptLookup, RangesAndDefaults) {
  EXPECT_EQ(ResolvePromptLookup({}).value().num_tokens, 0);
  const PromptLookupOverrides only_max = {.num_tokens = 4, .min_length = {}, .max_length = 1};
  EXPECT_EQ(ResolvePromptLookup(only_max).value().min_length, 1);
  const PromptLookupOverrides only_min = {.num_tokens = 4, .min_length = 20, .max_length = {}};
  EXPECT_EQ(ResolvePromptLookup(only_min).value().max_length, 20);
  const struct {
    PromptLookupOverrides overrides;
    const char* field;
  } bad[] = {
      {{.num_tokens = -1, .min_length = {}, .max_length = {}}, "num_speculative_tokens is -1"},
      {{.num_tokens = 17, .min_length = {}, .max_length = {}}, "num_speculative_tokens is 17"},
      {{.num_tokens = 1, .min_length = {}, .max_length = 33}, "prompt_lookup_max is 33"},
      {{.num_tokens = 1, .min_length = 0, .max_length = {}}, "prompt_lookup_min is 0"},
      {{.num_tokens = 1, .min_length = 5, .max_length = 4}, "prompt_lookup_min is 5"},
  };
  for (const auto& [overrides, field] : bad) {
    const absl::Status status = ResolvePromptLookup(overrides).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status));
    EXPECT_THAT(std::string(status.message()), HasSubstr(field));
  }
}

}  // namespace
}  // namespace vallm::engine
