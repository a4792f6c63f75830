// What the gateway tells its clients while they wait, and how it ends: comments in silent streams,
// traces, health under load, shutting down.

#include <thread>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/testing/gateway_fixture.h"
#include "tests/testing/raw_client.h"

namespace vallm::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

class GatewayLimitsTest : public GatewayFixture {
 protected:
  RawClient Raw() { return RawClient(gateway_->port()); }
  static std::string Post(const Json& body, const std::string& headers = "") {
    const std::string text = body.dump();
    return absl::StrCat("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n", headers,
                        "Content-Length: ", text.size(), "\r\n\r\n", text);
  }
  static Json StreamBody() {
    Json body = Chat();
    body["stream"] = true;
    return body;
  }
};

TEST_F(GatewayLimitsTest, AConversationHasALimitedNumberOfMessages) {
  engine().SetScript({.tokens = Ids("ok")});
  Start([](auto& options) { options.max_messages = 3; });
  Json body = Chat();
  while (body["messages"].size() < 3) body["messages"].push_back(body["messages"][0]);
  EXPECT_EQ(GatewayFixture::Post("/v1/chat/completions", body)->status, 200);
  body["messages"].push_back(body["messages"][0]);
  ExpectError(GatewayFixture::Post("/v1/chat/completions", body), 400, "messages", "",
              "has 4 entries; the limit is 3");
}

TEST_F(GatewayLimitsTest, AsManyStreamsAsThereMayBeDoNotStarveHealthChecks) {
  constexpr int kStreams = 40;
  engines_[0] = std::make_unique<FakeEngine>(/*max_batch_size=*/kStreams / 2);
  engine().SetScript({.tokens = Ids("abc"), .hang_after = 1});
  Start([](auto& options) {
    options.max_concurrent_requests = kStreams;
    options.http.max_connections = kStreams + 4;
  });
  std::vector<std::unique_ptr<RawClient>> streams;
  for (int i = 0; i < kStreams; ++i) {
    streams.push_back(std::make_unique<RawClient>(gateway_->port()));
    streams.back()->Send(Post(StreamBody()));
  }
  ASSERT_TRUE(engine().WaitForRunning(kStreams / 2, absl::Seconds(10)));
  const std::string all = absl::StrCat("{\"server_load\":", kStreams, "}");
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  while (Client().Get("/load")->body != all && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(2));
  }
  ExpectError(GatewayFixture::Post("/v1/chat/completions", Chat()), 503, "", "service_unavailable",
              "the limit is 40");
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Client().Get("/health")->status, 200);
}

TEST_F(GatewayLimitsTest, SilentStreamsHaveCommentsOnlyWhenAskedFor) {
  engine().SetScript({.tokens = Ids("abc"), .delay = absl::Milliseconds(300)});
  Start();
  const SseAnswer plain = Stream("/v1/chat/completions", Chat());  // checks that there are none
  EXPECT_TRUE(plain.done);
  gateway_.reset();
  Start([](auto& options) { options.sse_keepalive = absl::Milliseconds(100); });
  RawClient client = Raw();
  client.Send(Post(StreamBody(), "Connection: close\r\n"));
  const std::string answer = client.ReadAll();
  EXPECT_THAT(answer, HasSubstr(": keep-alive\n\n"));
  EXPECT_THAT(answer, HasSubstr("data: [DONE]\n\n"));
  // Before the first token, too.
  EXPECT_LT(answer.find(": keep-alive"), answer.find("\"content\":\"a\""));
}

TEST_F(GatewayLimitsTest, AQueuedStreamHearsThatItIsAliveAndFailsInOneFrame) {
  engines_[0] = std::make_unique<FakeEngine>(/*max_batch_size=*/1);
  engine().SetScript({.tokens = Ids("abc"), .hang_after = 1});
  Start([](auto& options) {
    options.sse_keepalive = absl::Milliseconds(50);
    options.instances.queue.queue_timeout = absl::Milliseconds(400);
  });
  RawClient first = Raw();
  first.Send(Post(StreamBody()));
  ASSERT_TRUE(engine().WaitForRunning(1, absl::Seconds(5)));
  RawClient queued = Raw();
  queued.Send(Post(StreamBody(), "Connection: close\r\n"));
  const std::string answer = queued.ReadAll();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(answer, HasSubstr(": keep-alive\n\n"));
  size_t frames = 0;
  for (size_t at = 0; (at = answer.find("\"error\"", at)) != std::string::npos; ++at) ++frames;
  EXPECT_EQ(frames, 1u) << answer;
  EXPECT_THAT(answer, HasSubstr("data: [DONE]\n\n"));
  // A whole answer has its status as ever.
  EXPECT_EQ(GatewayFixture::Post("/v1/chat/completions", Chat())->status, 504);
}

TEST_F(GatewayLimitsTest, ATraceIsContinuedAndToldToTheServices) {
  engine().SetScript({.tokens = Ids("abc")});
  Start();
  const std::string trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  const std::string parent = absl::StrCat("00-", trace, "-00f067aa0ba902b7-01");
  const auto answer = GatewayFixture::Post(
      "/v1/chat/completions", Chat(),
      {{"traceparent", parent}, {"tracestate", "a=1"}, {"X-Request-Id", "mine-1"}});
  const std::string ours = answer->get_header_value("traceparent");
  EXPECT_THAT(ours, MatchesRegex(absl::StrCat("00-", trace, "-[0-9a-f]{16}-01")));
  EXPECT_NE(ours, parent);
  EXPECT_EQ(answer->get_header_value("tracestate"), "a=1");
  const FakeEngine::Metadata at_engine = engine().last_metadata();
  EXPECT_EQ(at_engine.at("traceparent"), ours);
  EXPECT_EQ(at_engine.at("tracestate"), "a=1");
  EXPECT_EQ(at_engine.at("x-request-id"), "mine-1");
  // What is no trace is replaced by a new one.
  const auto other = GatewayFixture::Post("/v1/chat/completions", Chat(),
                                          {{"traceparent", "00-xyz"}, {"tracestate", "a=1"}});
  EXPECT_THAT(other->get_header_value("traceparent"),
              MatchesRegex("00-[0-9a-f]{32}-[0-9a-f]{16}-00"));
  EXPECT_FALSE(other->has_header("tracestate"));
  EXPECT_FALSE(engine().last_metadata().contains("tracestate"));
}

TEST_F(GatewayLimitsTest, ShuttingDownDoesNotWaitForAClientThatReadsNothing) {
  // More than the kernel's buffers take: 40 MB, with its log-probabilities.
  engines_[0] = std::make_unique<FakeEngine>(4, 1 << 20);
  engine().SetScript({.tokens = Ids(std::string(60000, 'x')), .tokens_per_chunk = 1000});
  Start([](auto& options) {
    options.http.write_timeout = absl::Seconds(600);
    options.drain_timeout = absl::Milliseconds(100);
    options.stop_grace = absl::Milliseconds(200);
  });
  RawClient client(gateway_->port(), /*receive_buffer=*/4096);
  Json body = StreamBody();
  body["logprobs"] = true;
  body["top_logprobs"] = 5;
  client.Send(Post(body));
  while (engine().written_chunks() < 60) absl::SleepFor(absl::Milliseconds(2));
  gateway_->Drain();
  gateway_.reset();  // would wait for the thread that writes
  EXPECT_THAT(client.ReadAll(), Not(HasSubstr("[DONE]")));
}

TEST_F(GatewayLimitsTest, ADrainingGatewayIsNotReadyAndFinishesWhatItHas) {
  engine().SetScript({.tokens = Ids("abcdef"), .delay = absl::Milliseconds(100)});
  Start([](auto& options) { options.drain_timeout = absl::Seconds(20); });
  RawClient client = Raw();
  client.Send(Post(StreamBody()));
  ASSERT_TRUE(engine().WaitForRunning(1, absl::Seconds(5)));
  std::thread drain([this] { gateway_->Drain(); });
  while (Client().Get("/health/ready")->status == 200) absl::SleepFor(absl::Milliseconds(2));
  EXPECT_EQ(Client().Get("/health/live")->status, 200);
  ExpectError(GatewayFixture::Post("/v1/chat/completions", Chat()), 503, "", "service_unavailable",
              "shutting down");
  drain.join();
  const std::string answer = client.ReadUntil("[DONE]\n\n");
  EXPECT_THAT(answer, HasSubstr("\"finish_reason\":\"stop\""));
  EXPECT_THAT(answer, HasSubstr("[DONE]\n\n"));
}

}  // namespace
}  // namespace vallm::testing
