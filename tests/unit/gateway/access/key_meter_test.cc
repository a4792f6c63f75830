#include "gateway/access/key_meter.h"

#include "gateway/access/rate_headers.h"
#include "gmock/gmock.h"

namespace vallm::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using Limit = KeyMeter::Limit;

const absl::Time kStart = absl::UnixEpoch() + absl::Hours(1);

TEST(KeyMeter, WithoutLimitsEverythingComesIn) {
  KeyMeter meter({});
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(meter.Enter(kStart).limit, Limit::kNone);
  EXPECT_FALSE(meter.rates(kStart).requests.has_value());
  EXPECT_FALSE(meter.rates(kStart).tokens.has_value());
}

TEST(KeyMeter, RequestsComeBackContinuously) {
  KeyMeter meter({.requests_per_minute = 6});
  for (int i = 0; i < 6; ++i) EXPECT_EQ(meter.Enter(kStart).limit, Limit::kNone);
  const KeyMeter::Decision refused = meter.Enter(kStart + absl::Seconds(4));
  EXPECT_EQ(refused.limit, Limit::kRequests);
  EXPECT_NEAR(absl::ToDoubleSeconds(refused.retry_after), 6, 1e-6);
  EXPECT_EQ(meter.Enter(kStart + absl::Seconds(11)).limit, Limit::kNone);
  EXPECT_EQ(meter.Enter(kStart + absl::Seconds(11)).limit, Limit::kRequests);
  // No more than a minute's worth gathers.
  const auto rates = meter.rates(kStart + absl::Hours(1));
  EXPECT_EQ(rates.requests->remaining, 6);
  EXPECT_EQ(rates.requests->reset, absl::ZeroDuration());
}

TEST(KeyMeter, TokensMayBeOverdrawnAndMustBeMadeUp) {
  KeyMeter meter({.tokens_per_minute = 600});
  EXPECT_EQ(meter.Enter(kStart).limit, Limit::kNone);
  meter.ChargeTokens(900, kStart);
  EXPECT_EQ(meter.rates(kStart).tokens->remaining, 0);
  EXPECT_EQ(meter.Enter(kStart + absl::Seconds(29)).limit, Limit::kTokens);
  EXPECT_EQ(meter.Enter(kStart + absl::Seconds(31)).limit, Limit::kNone);
}

TEST(KeyMeter, CountsWhatRunsAtOnce) {
  KeyMeter meter({.requests_per_minute = 100, .max_concurrent_requests = 2});
  EXPECT_EQ(meter.Enter(kStart).limit, Limit::kNone);
  EXPECT_EQ(meter.Enter(kStart).limit, Limit::kNone);
  EXPECT_EQ(meter.Enter(kStart).limit, Limit::kConcurrency);
  EXPECT_EQ(meter.rates(kStart).requests->remaining, 98) << "a refusal costs nothing";
  meter.Leave();
  EXPECT_EQ(meter.Enter(kStart).limit, Limit::kNone);
}

TEST(KeyMeter, NewLimitsForgiveNothing) {
  KeyMeter meter({.requests_per_minute = 10});
  for (int i = 0; i < 10; ++i) meter.Enter(kStart);
  meter.SetLimits({.requests_per_minute = 10}, kStart);
  EXPECT_EQ(meter.Enter(kStart).limit, Limit::kRequests);
  meter.SetLimits({.requests_per_minute = 12}, kStart);
  EXPECT_EQ(meter.rates(kStart).requests->remaining, 2);
  meter.SetLimits({}, kStart);
  EXPECT_EQ(meter.Enter(kStart).limit, Limit::kNone);
}

TEST(KeyMeter, AClockThatGoesBackGivesNothing) {
  KeyMeter meter({.requests_per_minute = 1});
  EXPECT_EQ(meter.Enter(kStart).limit, Limit::kNone);
  EXPECT_EQ(meter.Enter(kStart - absl::Hours(5)).limit, Limit::kRequests);
  EXPECT_EQ(meter.Enter(kStart + absl::Seconds(59)).limit, Limit::kRequests);
}

TEST(RateHeaders, AreSpeltAsOpenAiSpellsThem) {
  HttpHeaders headers;
  AddRateHeaders(
      {.requests = KeyMeter::Rate{.limit = 60, .remaining = 59, .reset = absl::Seconds(1)},
       .tokens =
           KeyMeter::Rate{.limit = 150000, .remaining = 0, .reset = absl::Milliseconds(359500)}},
      &headers);
  EXPECT_THAT(headers, ElementsAre(Pair("x-ratelimit-limit-requests", "60"),
                                   Pair("x-ratelimit-remaining-requests", "59"),
                                   Pair("x-ratelimit-reset-requests", "1s"),
                                   Pair("x-ratelimit-limit-tokens", "150000"),
                                   Pair("x-ratelimit-remaining-tokens", "0"),
                                   Pair("x-ratelimit-reset-tokens", "6m0s")));
}

TEST(RateHeaders, RetryAfterIsInWholeSecondsUpwards) {
  EXPECT_EQ(RetryAfter(absl::Milliseconds(1)), "1");
  EXPECT_EQ(RetryAfter(absl::Milliseconds(1001)), "2");
  EXPECT_EQ(RetryAfter(absl::ZeroDuration()), "1");
}

}  // namespace
}  // namespace vallm::gateway
