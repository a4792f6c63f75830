#include "gateway/generation/length_limits.h"

#include "gmock/gmock.h"
#include "tests/testing/status_matchers.h"

namespace vallm::gateway {
namespace {

using testing::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TEST(LengthLimits, WithoutARequestAllTheRoomIsUsed) {
  EXPECT_EQ(*FitMaxTokens(10, std::nullopt, {100, 99}, "messages"), 90);
  EXPECT_EQ(*FitMaxTokens(99, std::nullopt, {100, 99}, "messages"), 1);
}

TEST(LengthLimits, WhatFitsIsKept) {
  EXPECT_EQ(*FitMaxTokens(10, 90, {100, 99}, "messages"), 90);
  EXPECT_EQ(*FitMaxTokens(10, 1, {100, 99, MaxTokensOverflow::kReject}, "messages"), 1);
}

TEST(LengthLimits, WhatDoesNotFitIsClampedOrRejected) {
  // The vendor's evaluation asks for 61440 of 65536 whatever the prompt.
  EXPECT_EQ(*FitMaxTokens(5000, 61440, {65536, 57344}, "messages"), 60536);
  EXPECT_THAT(
      FitMaxTokens(5000, 61440, {65536, 57344, MaxTokensOverflow::kReject}, "messages"),
      StatusIs(kInvalid,
               "this model's maximum context length is 65536 tokens; the messages have 5000 "
               "tokens and max_tokens asks for 61440 more, 66440 in all"));
}

TEST(LengthLimits, ALongPromptIsAlwaysRefused) {
  EXPECT_OK(FitMaxTokens(57344, 1, {65536, 57344}, "prompt"));
  EXPECT_THAT(FitMaxTokens(57345, 1, {65536, 57344}, "prompt"),
              StatusIs(kInvalid,
                       "this model's longest input is 57344 tokens, of a maximum context length of "
                       "65536; the prompt has 57345 tokens and max_tokens asks for 1 more"));
  EXPECT_THAT(FitMaxTokens(100, std::nullopt, {100, 99}, "prompt"),
              StatusIs(kInvalid,
                       "this model's maximum context length is 100 tokens, which must leave room "
                       "for an answer; the prompt has 100 tokens"));
}

}  // namespace
}  // namespace vallm::gateway
