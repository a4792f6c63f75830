// The gateway's HTTP side: clients that go away, read slowly, pipeline, or mean harm.

#include <chrono>
#include <thread>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/testing/gateway_fixture.h"
#include "tests/testing/raw_client.h"

namespace vallm::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string PostText(const std::string& path, const std::string& body,
                     const std::string& extra_headers = "") {
  return absl::StrCat("POST ", path, " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n",
                      extra_headers, "Content-Length: ", body.size(), "\r\n\r\n", body);
}

class GatewayHttpTest : public GatewayFixture {
 protected:
  RawClient Raw(int receive_buffer = 0) { return RawClient(gateway_->port(), receive_buffer); }

  static std::string StreamBody() {
    Json body = Chat();
    body["stream"] = true;
    return body.dump();
  }

  // Starts a request on a hanging engine, lets `leave` drop the client, and checks that the engine
  // hears of it within 100 ms.
  void ExpectCancelled(const std::string& body, const std::function<void(RawClient&)>& leave) {
    const int before = engine().cancelled_count();
    RawClient client = Raw();
    ASSERT_TRUE(client.Send(PostText("/v1/chat/completions", body)));
    ASSERT_TRUE(engine().WaitForRunning(1, absl::Seconds(5)));
    absl::SleepFor(absl::Milliseconds(50));
    const absl::Time left = absl::Now();
    leave(client);
    ASSERT_TRUE(engine().WaitForCancelled(before + 1, absl::Seconds(2)));
    EXPECT_LT(absl::Now() - left, absl::Milliseconds(100));
  }
};

TEST_F(GatewayHttpTest, ADisconnectCancelsAStreamWithin100Ms) {
  engine().SetScript({.tokens = Ids("abc"), .hang_after = 2});
  Start();
  ExpectCancelled(StreamBody(), [](RawClient& client) { client.Close(); });
  ExpectCancelled(StreamBody(), [](RawClient& client) { client.Reset(); });
  ExpectCancelled(StreamBody(), [](RawClient& client) { client.HalfClose(); });
}

TEST_F(GatewayHttpTest, ADisconnectCancelsAWholeAnswerWithin100Ms) {
  engine().SetScript({.tokens = Ids("abc"), .hang_after = 2});
  Start();
  ExpectCancelled(Chat().dump(), [](RawClient& client) { client.Close(); });
  ExpectCancelled(Chat().dump(), [](RawClient& client) { client.Reset(); });
  // Bytes of a next request do not hide the end that follows them.
  ExpectCancelled(Chat().dump(), [](RawClient& client) {
    client.Send("GET /health HTTP/1.1\r\n");
    client.Close();
  });
}

TEST_F(GatewayHttpTest, ADisconnectBeforeTheFirstTokenCancelsToo) {
  engine().SetScript({.tokens = Ids("abc"), .hang_after = 0});
  Start();
  ExpectCancelled(StreamBody(), [](RawClient& client) { client.Close(); });
  ExpectCancelled(Chat().dump(), [](RawClient& client) { client.Close(); });
}

TEST_F(GatewayHttpTest, ADisconnectWhileQueuedLeavesTheQueue) {
  engines_[0] = std::make_unique<FakeEngine>(/*max_batch_size=*/1);
  engine().SetScript({.tokens = Ids("abc"), .hang_after = 1});
  Start();
  RawClient first = Raw();
  first.Send(PostText("/v1/chat/completions", StreamBody()));
  ASSERT_TRUE(engine().WaitForRunning(1, absl::Seconds(5)));
  RawClient second = Raw();
  second.Send(PostText("/v1/chat/completions", StreamBody()));
  const auto queued = [&](const std::string& count) {
    httplib::Client metrics("127.0.0.1", gateway_->management_port());
    return metrics.Get("/metrics")->body.find("queue_length{model_name=\"fake\"} " + count) !=
           std::string::npos;
  };
  while (!queued("1")) absl::SleepFor(absl::Milliseconds(2));
  second.Close();
  const absl::Time deadline = absl::Now() + absl::Seconds(2);
  while (!queued("0") && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(2));
  EXPECT_TRUE(queued("0"));
  EXPECT_EQ(engine().requests().size(), 1u);
}

TEST_F(GatewayHttpTest, AClientThatReadsNothingIsCutOff) {
  engines_[0] = std::make_unique<FakeEngine>(4, 1 << 20);
  engine().SetScript(
      {.tokens = Ids(std::string(100000, 'x')), .tokens_per_chunk = 100, .hang_after = 900});
  Start([](auto& options) { options.http.write_timeout = absl::Milliseconds(500); });
  RawClient client = Raw(/*receive_buffer=*/4096);
  Json body = Chat();  // log-probabilities: more bytes than the kernel holds
  body.update({{"stream", true}, {"logprobs", true}, {"top_logprobs", 5}});
  client.Send(PostText("/v1/chat/completions", body.dump()));
  EXPECT_TRUE(engine().WaitForCancelled(1, absl::Seconds(20)));
}

TEST_F(GatewayHttpTest, AClientThatReadsNothingHoldsNoSlot) {
  constexpr int kTokens = 100000;
  engines_[0] = std::make_unique<FakeEngine>(/*max_batch_size=*/1, 1 << 20);
  engine().SetScript({.tokens = Ids(std::string(kTokens, 'x')), .tokens_per_chunk = 1000});
  Start();
  RawClient idle = Raw(/*receive_buffer=*/65536);
  idle.Send(PostText("/v1/chat/completions", StreamBody(), "Connection: close\r\n"));
  // The engine is read to its end although the client reads nothing.
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  while (engine().written_chunks() < kTokens / 1000 && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(2));
  }
  ASSERT_EQ(engine().written_chunks(), kTokens / 1000);
  engine().SetScript({.tokens = Ids("next")});
  const absl::Time start = absl::Now();
  const auto next = Post("/v1/chat/completions", Chat());
  ASSERT_TRUE(next);
  EXPECT_EQ(next->status, 200) << next->body;
  EXPECT_LT(absl::Now() - start, absl::Seconds(1));
  // A client that begins to read gets all of it.
  const std::string answer = idle.ReadAll();
  ASSERT_GT(answer.size(), 1000u);
  EXPECT_THAT(answer.substr(answer.size() - 1000), HasSubstr("data: [DONE]"));
}

TEST_F(GatewayHttpTest, KeepAliveAndPipeliningAreFast) {
  engine().SetScript({.tokens = Ids("ok")});
  Start();
  RawClient client = Raw();
  const absl::Time start = absl::Now();
  const std::string request = PostText("/v1/chat/completions", Chat().dump());
  client.Send(request + request + "GET /version HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string answers = client.ReadUntil("\"version\"");
  EXPECT_LT(absl::Now() - start, absl::Milliseconds(200));
  size_t count = 0;
  for (size_t at = 0; (at = answers.find("HTTP/1.1 200", at)) != std::string::npos; ++at) ++count;
  EXPECT_EQ(count, 3u) << answers;
  // No request waits for a delayed acknowledgement (40 ms each).
  auto keep_alive = Client();
  const absl::Time begin = absl::Now();
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(keep_alive.Post("/v1/chat/completions", Chat().dump(), "application/json")->status,
              200);
  }
  EXPECT_LT(absl::Now() - begin, absl::Milliseconds(400));
}

TEST_F(GatewayHttpTest, RefusesBodiesOverTheLimit) {
  Start([](auto& options) { options.http.max_body_bytes = 10000; });
  const std::string big = Chat(std::string(20000, 'x')).dump();
  RawClient declared = Raw();
  declared.Send(PostText("/v1/chat/completions", big));
  EXPECT_THAT(declared.ReadAll(), StartsWith("HTTP/1.1 413"));
  RawClient chunked = Raw();
  chunked.Send(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
      "Transfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 10; ++i) {
    chunked.Send(absl::StrCat("800\r\n", std::string(0x800, 'x'), "\r\n"));
  }
  chunked.Send("0\r\n\r\n");
  const std::string answer = chunked.ReadAll();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(answer, HasSubstr("\"error\""));
  EXPECT_EQ(Client().Get("/health/live")->status, 200);
}

TEST_F(GatewayHttpTest, AcceptsChunkedBodies) {
  engine().SetScript({.tokens = Ids("ok")});
  Start();
  const std::string body = Chat().dump();
  RawClient client = Raw();
  client.Send(absl::StrCat(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
      absl::Hex(body.size()), "\r\n", body, "\r\n0\r\n\r\n"));
  EXPECT_THAT(client.ReadUntil("\"usage\""), StartsWith("HTTP/1.1 200"));
}

TEST_F(GatewayHttpTest, RefusesWhatIsNotHttp) {
  Start();
  const std::string post = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"garbage\r\n\r\n", "400"},
      {"GET / HTTP/9.9\r\n\r\n", "400"},
      {absl::StrCat("GET /v1/models HTTP/1.1\r\nX: ", std::string(100000, 'a'), "\r\n\r\n"), "400"},
      {absl::StrCat("GET /", std::string(20000, 'a'), " HTTP/1.1\r\n\r\n"), "414"},
      {absl::StrCat("GET /", std::string(8000, 'a'), " HTTP/1.1\r\n\r\n"), "404"},
      {post + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "400"},
      {post + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}", "400"},
      {post + "Content-Length: 99999999999999999999\r\n\r\n{}", "413"},
      {post + "Content-Length: 2x\r\n\r\n{}", "400"},
      {post + "Content-Length: -2\r\n\r\n{}", "400"},
      {post + "Content-Length:\r\n\r\n{}", "400"},
      {post + "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 2\r\n\r\n{}",
       "415"},
      {post + "\r\n", "411"},
      {"PUT /v1/chat/completions HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", "405"},
      {"DELETE /v1/models/fake HTTP/1.1\r\n\r\n", "405"},
      {"GET /nothing HTTP/1.1\r\n\r\n", "404"},
  };
  for (const auto& [bytes, status] : cases) {
    RawClient client = Raw();
    const absl::Time start = absl::Now();
    client.Send(bytes);
    EXPECT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 " + status)) << bytes.substr(0, 80);
    // The connection was closed, not left to time out.
    EXPECT_LT(absl::Now() - start, absl::Seconds(3)) << bytes.substr(0, 80);
  }
  std::string many = "GET /v1/models HTTP/1.1\r\n";
  for (int i = 0; i < 5000; ++i) absl::StrAppend(&many, "X-", i, ": y\r\n");
  RawClient client = Raw();
  client.Send(many + "\r\n");
  EXPECT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 400"));
  EXPECT_EQ(Client().Get("/health/live")->status, 200);
}

TEST_F(GatewayHttpTest, WhatTheHeaderRefusesIsAnsweredWithoutTheBody) {
  Start([](auto& options) {
    options.http.max_body_bytes = 10000;
    options.api_keys = {"k1"};
  });
  const std::string post =
      "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k1\r\n";
  const std::string get = "GET /v1/models HTTP/1.1\r\nHost: x\r\n";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {post + "Content-Length: 10001\r\n\r\n", "413"},
      {post + "Content-Length: 10001\r\nExpect: 100-continue\r\n\r\n", "413"},
      {post + "Transfer-Encoding: gzip, chunked\r\n\r\n", "501"},
      {post + "Transfer-Encoding: %63hunked\r\n\r\n", "501"},
      {post + "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n", "400"},
      {post + "Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\n", "415"},
      {post + "Transfer-Encoding: chunked\r\n\r\n-5\r\n", "400"},
      {post + "Transfer-Encoding: chunked\r\n\r\n0x5\r\n", "400"},
      {post + "Transfer-Encoding: chunked\r\n\r\n\r\n", "400"},
      {post + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffffff\r\n", "400"},
      {post + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}xx\r\n", "400"},
      {post + "Transfer-Encoding: chunked\r\n\r\n2711\r\n", "413"},
      {"POST /nothing HTTP/1.1\r\nContent-Length: 100\r\n\r\n", "404"},
      {"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 100\r\n\r\n", "401"},
      // Not the key, though it would be after decoding.
      {get + "Authorization: Bearer %6b1\r\n\r\n", "401"},
      {absl::StrCat("GET /", std::string(50000, 'a'), " HTTP/1.1\r\n\r\n"), "414"},
      {absl::StrCat("GET /", std::string(500000, 'a'), " HTTP/1.1\r\n\r\n"), "414"},
  };
  for (const auto& [bytes, status] : cases) {
    RawClient client = Raw();
    const absl::Time start = absl::Now();
    client.Send(bytes);
    EXPECT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 " + status)) << bytes.substr(0, 180);
    EXPECT_LT(absl::Now() - start, absl::Seconds(2)) << bytes.substr(0, 180);
  }
  // A percent sign elsewhere in the header does no harm.
  RawClient client = Raw();
  client.Send(get + "X-Note: 50%25\r\nAuthorization: Bearer k1 \r\n\r\n");
  EXPECT_THAT(client.ReadUntil("\r\n\r\n"), StartsWith("HTTP/1.1 200"));
}

TEST_F(GatewayHttpTest, ContinuesWhatItWillRead) {
  engine().SetScript({.tokens = Ids("ok")});
  Start();
  const std::string body = Chat().dump();
  RawClient client = Raw();
  client.Send(absl::StrCat("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: ",
                           body.size(), "\r\nExpect: 100-continue\r\n\r\n"));
  EXPECT_THAT(client.ReadUntil("\r\n\r\n"), StartsWith("HTTP/1.1 100"));
  client.Send(body);
  EXPECT_THAT(client.ReadUntil("\"usage\""), HasSubstr("HTTP/1.1 200"));
}

TEST_F(GatewayHttpTest, HeadersOfAnswers) {
  Start([](auto& options) { options.allowed_origins = {"*"}; });
  const auto answer = [this](const std::string& request) {
    RawClient client = Raw();
    client.Send(request + "\r\n");
    return client.ReadUntil("\r\n\r\n");
  };
  const auto count = [](const std::string& text, const std::string& part) {
    int n = 0;
    for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; ++at) ++n;
    return n;
  };
  const std::string unsupported = answer(
      "POST /v1/chat/completions HTTP/1.1\r\nContent-Type: image/png\r\nContent-Length: 2\r\n");
  EXPECT_THAT(unsupported, StartsWith("HTTP/1.1 415"));
  EXPECT_EQ(count(unsupported, "X-Request-Id"), 1) << unsupported;

  EXPECT_THAT(answer("PUT /v1/chat/completions HTTP/1.1\r\nContent-Length: 2\r\n"),
              HasSubstr("\r\nAllow: POST, OPTIONS\r\n"));
  EXPECT_THAT(answer("DELETE /v1/models HTTP/1.1\r\n"),
              HasSubstr("\r\nAllow: GET, HEAD, OPTIONS\r\n"));

  const std::string preflight = answer("OPTIONS /v1/models HTTP/1.1\r\nOrigin: http://a\r\n");
  EXPECT_THAT(preflight, StartsWith("HTTP/1.1 204"));
  EXPECT_EQ(count(preflight, "\r\nContent-"), 0) << preflight;

  for (const char* target : {"http://x/v1/models", "HTTPS://x:1/v1/models?a=b"}) {
    EXPECT_THAT(answer(absl::StrCat("GET ", target, " HTTP/1.1\r\n")), StartsWith("HTTP/1.1 200"));
  }

  const std::string old = answer("GET /v1/models HTTP/1.0\r\n");
  EXPECT_THAT(old, HasSubstr("\r\nConnection: close\r\n"));
  EXPECT_THAT(old, Not(HasSubstr("Keep-Alive")));
  const std::string old_kept = answer("GET /v1/models HTTP/1.0\r\nConnection: Keep-Alive\r\n");
  EXPECT_THAT(old_kept, HasSubstr("\r\nConnection: Keep-Alive\r\n"));
  EXPECT_THAT(answer("GET /v1/models HTTP/1.1\r\n"), HasSubstr("\r\nKeep-Alive: timeout=75\r\n"));
}

TEST_F(GatewayHttpTest, ARequestThatDribblesInIsCutOff) {
  Start([](auto& options) { options.http.header_timeout = absl::Milliseconds(300); });
  RawClient client = Raw();
  const absl::Time start = absl::Now();
  client.Send("GET /v1/models HTTP/1.1\r\n");
  std::thread dribble([&] {
    while (client.Send("X") && absl::Now() - start < absl::Seconds(3)) {
      absl::SleepFor(absl::Milliseconds(50));
    }
  });
  client.ReadAll();
  EXPECT_LT(absl::Now() - start, absl::Seconds(2));
  dribble.join();
}

TEST_F(GatewayHttpTest, RefusesBadJsonNamingTheField) {
  Start();
  struct Case {
    std::string body, param, text;
  };
  std::string deep = R"({"messages":)";
  for (int i = 0; i < 100000; ++i) deep += "[";
  const std::vector<Case> cases = {
      {"", "", "not valid JSON"},
      {"{", "", "not valid JSON"},
      {"[]", "", "must be a JSON object, not an array"},
      {"{\"a\":\"\xff\"}", "", "not valid UTF-8 at byte offset 6"},
      {R"({"temperature":1e999})", "", "not valid JSON"},
      {deep, "", "nested deeper than"},
      {R"({"messages":null})", "messages", "missing"},
      {R"({"messages":"hi"})", "messages", "must be an array, not a string"},
      {R"({"messages":[]})", "messages", "empty"},
      {R"({"messages":[1]})", "messages[0]", "must be an object"},
      {R"({"messages":[{"content":"x"}]})", "messages[0].role", "missing"},
      {R"({"messages":[{"role":"robot","content":"x"}]})", "messages[0].role", "robot"},
      {R"({"messages":[{"role":"user"}]})", "messages[0].content", "missing"},
      {R"({"messages":[{"role":"user","content":5}]})", "messages[0].content", "not an integer"},
      {R"({"messages":[{"role":"user","content":[{"type":"image_url"}]}]})",
       "messages[0].content[0].type", "image_url"},
      {R"({"messages":[{"role":"assistant","tool_calls":[{"function":{}}]}]})",
       "messages[0].tool_calls[0].function.name", "missing"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.body.substr(0, 80));
    const auto result = Client().Post("/v1/chat/completions", c.body, "application/json");
    ExpectError(result, 400, c.param,
                c.param.find("type") != std::string::npos ? "unsupported_parameter" : "", c.text);
  }
}

TEST_F(GatewayHttpTest, RefusesConnectionsBeyondTheLimitAtOnce) {
  engine().SetScript({.tokens = Ids("abc"), .hang_after = 1});
  Start([](auto& options) { options.http.max_connections = 2; });
  RawClient first = Raw();
  first.Send(PostText("/v1/chat/completions", StreamBody()));
  RawClient second = Raw();
  second.Send(PostText("/v1/chat/completions", StreamBody()));
  ASSERT_TRUE(engine().WaitForRunning(2, absl::Seconds(5)));
  RawClient third = Raw();
  third.Send("GET /health/live HTTP/1.1\r\n\r\n");
  EXPECT_THAT(third.ReadAll(), StartsWith("HTTP/1.1 503"));
  // The management port is another server: probes still get through.
  httplib::Client management("127.0.0.1", gateway_->management_port());
  EXPECT_EQ(management.Get("/health/live")->status, 200);
}

TEST_F(GatewayHttpTest, IdleConnectionsMakeRoomForNewOnes) {
  engine().SetScript({.tokens = Ids("abc"), .hang_after = 1});
  Start([](auto& options) { options.http.max_connections = 3; });
  RawClient busy = Raw();
  busy.Send(PostText("/v1/chat/completions", StreamBody()));
  ASSERT_TRUE(engine().WaitForRunning(1, absl::Seconds(5)));
  const std::string get = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
  RawClient oldest = Raw();
  oldest.Send(get);
  EXPECT_THAT(oldest.ReadUntil("\r\n\r\n"), StartsWith("HTTP/1.1 200"));
  RawClient silent = Raw();
  absl::SleepFor(absl::Milliseconds(50));
  std::vector<std::unique_ptr<RawClient>> more;
  for (int i = 0; i < 10; ++i) {
    more.push_back(std::make_unique<RawClient>(gateway_->port()));
    more.back()->Send(get);
    EXPECT_THAT(more.back()->ReadUntil("\r\n\r\n"), StartsWith("HTTP/1.1 200")) << i;
    // Its answer has come; its thread has yet to see that it is idle.
    absl::SleepFor(absl::Milliseconds(10));
  }
  const absl::Time start = absl::Now();
  oldest.ReadAll();
  EXPECT_EQ(silent.ReadAll(), "");
  EXPECT_LT(absl::Now() - start, absl::Seconds(1));  // both were closed
  EXPECT_EQ(engine().cancelled_count(), 0);          // a busy one never is
}

TEST_F(GatewayHttpTest, AConnectionThatSaysNothingIsClosedSoon) {
  Start([](auto& options) { options.http.first_byte_timeout = absl::Milliseconds(300); });
  RawClient silent = Raw();
  RawClient used = Raw();
  used.Send("GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n");
  used.ReadUntil("\r\n\r\n");
  const absl::Time start = absl::Now();
  EXPECT_EQ(silent.ReadAll(), "");
  EXPECT_LT(absl::Now() - start, absl::Seconds(2));
  // One that has been of use may wait longer.
  EXPECT_TRUE(used.StaysOpenFor(std::chrono::milliseconds(500)));
}

TEST_F(GatewayHttpTest, RefusesGenerationsBeyondTheLimit) {
  engine().SetScript({.tokens = Ids("abc"), .hang_after = 1});
  Start([](auto& options) { options.max_concurrent_requests = 1; });
  RawClient first = Raw();
  first.Send(PostText("/v1/chat/completions", StreamBody()));
  ASSERT_TRUE(engine().WaitForRunning(1, absl::Seconds(5)));
  ExpectError(Post("/v1/chat/completions", Chat()), 503, "", "service_unavailable",
              "the limit is 1");
  EXPECT_EQ(Client().Get("/health")->status, 200);
}

TEST_F(GatewayHttpTest, AnHttp10ClientGetsNoChunks) {
  engine().SetScript({.tokens = Ids("ok")});
  Start();
  RawClient client = Raw();
  const std::string body = StreamBody();
  client.Send(absl::StrCat("POST /v1/chat/completions HTTP/1.0\r\nContent-Length: ", body.size(),
                           "\r\n\r\n", body));
  const std::string answer = client.ReadAll();
  EXPECT_THAT(answer, ::testing::EndsWith("\n\ndata: [DONE]\n\n"));
  EXPECT_THAT(answer, Not(HasSubstr("chunked")));
}

TEST_F(GatewayHttpTest, APortIsNotShared) {
  Start();
  gateway::GatewayOptions options;
  options.http = {.host = "127.0.0.1", .port = gateway_->port()};
  options.management = {.host = "127.0.0.1", .port = 0};
  options.instances.addresses = {engine().address()};
  EXPECT_EQ(gateway::Gateway::Start(options).status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace vallm::testing
