#include "gateway/request_id.h"

#include "gmock/gmock.h"

namespace vallm::gateway {
namespace {

using ::testing::MatchesRegex;

// The examples of the W3C recommendation.
constexpr char kTrace[] = "4bf92f3577b34da6a3ce929d0e0e4736";
const std::string kParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(ContinueTrace, KeepsTheTraceAndItsFlagsWithASpanOfItsOwn) {
  const TraceContext trace = ContinueTrace({{"TraceParent", kParent}});
  EXPECT_THAT(trace.traceparent, MatchesRegex(std::string("00-") + kTrace + "-[0-9a-f]{16}-01"));
  EXPECT_NE(trace.traceparent, kParent);
  EXPECT_EQ(trace.trace_id(), kTrace);
  EXPECT_NE(ContinueTrace({{"traceparent", kParent}}).traceparent, trace.traceparent);
  std::string unsampled = kParent;
  unsampled.back() = '0';
  EXPECT_EQ(ContinueTrace({{"traceparent", unsampled}}).traceparent.substr(53), "00");
}

TEST(ContinueTrace, ReadsLaterVersionsAsItsOwn) {
  const std::string later = "cc" + kParent.substr(2);
  for (const std::string& parent : {later, later + "-what-the-future-brings"}) {
    EXPECT_THAT(ContinueTrace({{"traceparent", parent}}).traceparent,
                MatchesRegex(std::string("00-") + kTrace + "-[0-9a-f]{16}-01"));
  }
}

TEST(ContinueTrace, BeginsANewTraceInsteadOfABrokenOne) {
  const std::vector<std::string> broken = {
      "",
      "00",
      kParent + "-extra",
      kParent + "0",
      "ff" + kParent.substr(2),
      "0G" + kParent.substr(2),
      "00-" + std::string(32, '0') + "-00f067aa0ba902b7-01",
      std::string("00-") + kTrace + "-0000000000000000-01",
      "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
      "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
      "cc" + kParent.substr(2) + "x",
  };
  for (const std::string& parent : broken) {
    const TraceContext trace = ContinueTrace({{"traceparent", parent}, {"tracestate", "vendor=1"}});
    EXPECT_THAT(trace.traceparent, MatchesRegex("00-[0-9a-f]{32}-[0-9a-f]{16}-00")) << parent;
    EXPECT_NE(trace.trace_id(), kTrace);
    EXPECT_EQ(trace.tracestate, "");
  }
  EXPECT_THAT(ContinueTrace({}).traceparent, MatchesRegex("00-[0-9a-f]{32}-[0-9a-f]{16}-00"));
}

TEST(ContinueTrace, PassesTheStateOnAsOneHeader) {
  const auto state_of = [](HttpHeaders headers) {
    headers.emplace_back("traceparent", kParent);
    return ContinueTrace(headers).tracestate;
  };
  EXPECT_EQ(state_of({{"tracestate", "a=1"}, {"Other", "x"}, {"TraceState", "b=2"}}), "a=1,b=2");
  EXPECT_EQ(state_of({{"tracestate", "a=\x01"}}), "");
  EXPECT_EQ(state_of({{"tracestate", std::string(513, 'a')}}), "");
  EXPECT_EQ(state_of({}), "");
}

}  // namespace
}  // namespace vallm::gateway
