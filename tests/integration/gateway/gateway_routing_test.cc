// How the gateway chooses instances, queues, refuses and drains, end to end over HTTP and gRPC,
// with fake services behind it. What it does when one dies under a request:
// gateway_failover_test.cc.

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/testing/gateway_fixture.h"

namespace vallm::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class GatewayRoutingTest : public GatewayFixture {};

TEST_F(GatewayRoutingTest, ARestartingTokenizerIsWaitedFor) {
  engine().SetScript({.tokens = Ids("back")});
  Start();
  // A chat waits before its prompt is rendered, token ids after they have got a slot.
  const Json ids = {{"prompt", {1, 2}}, {"max_tokens", 9}};
  for (const auto& [path, body] :
       {std::pair<std::string, Json>{"/v1/chat/completions", Chat()}, {"/v1/completions", ids}}) {
    tokenizer_.Stop();
    std::thread healer([&] {
      absl::SleepFor(absl::Milliseconds(300));
      tokenizer_.Restart();
    });
    const auto result = Post(path, body);
    healer.join();
    EXPECT_EQ(result->status, 200) << result->body;
  }
}

TEST_F(GatewayRoutingTest, ATokenizerThatStaysAwayIsA503) {
  engine().SetScript({.tokens = Ids("back")});
  Start(
      [](auto& options) { options.instances.queue.no_instance_timeout = absl::Milliseconds(200); });
  tokenizer_.Stop();
  const absl::Time start = absl::Now();
  const Json ids = {{"prompt", {1, 2}}, {"max_tokens", 9}};
  ExpectError(Post("/v1/chat/completions", Chat()), 503, "", "service_unavailable", "tokenizer");
  ExpectError(Post("/v1/completions", ids), 503, "", "service_unavailable", "tokenizer");
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(400));
  EXPECT_LT(absl::Now() - start, absl::Seconds(3));
}

TEST_F(GatewayRoutingTest, ARestartingInstanceIsWaitedFor) {
  engine().SetScript({.tokens = Ids("back")});
  Start();
  engine().SetState(v1::INSTANCE_STATE_RESTARTING);
  while (Serving()) absl::SleepFor(absl::Milliseconds(2));
  EXPECT_EQ(Client().Get("/health")->status, 503);
  std::thread healer([&] {
    absl::SleepFor(absl::Milliseconds(200));
    engine().SetState(v1::INSTANCE_STATE_SERVING);
  });
  const auto result = Post("/v1/chat/completions", Chat());
  healer.join();
  EXPECT_EQ(result->status, 200) << result->body;
}

TEST_F(GatewayRoutingTest, WithoutAnInstanceItIs503) {
  Start(
      [](auto& options) { options.instances.queue.no_instance_timeout = absl::Milliseconds(100); });
  engine().SetState(v1::INSTANCE_STATE_DRAINING);
  while (Serving()) absl::SleepFor(absl::Milliseconds(2));
  const auto result = Post("/v1/chat/completions", Chat());
  ExpectError(result, 503, "", "service_unavailable", "no engine instance is serving");
  EXPECT_TRUE(result->has_header("Retry-After"));
}

TEST_F(GatewayRoutingTest, QueuesBeyondTheLimitAndRefusesBeyondTheQueue) {
  engines_[0] = std::make_unique<FakeEngine>(/*max_batch_size=*/1);
  engine().SetScript({.tokens = Ids("abcdefghij"), .delay = absl::Milliseconds(30)});
  Start([](auto& options) { options.instances.queue.max_queue_size = 1; });
  std::thread first([&] { EXPECT_EQ(Post("/v1/chat/completions", Chat())->status, 200); });
  ASSERT_TRUE(engine().WaitForRunning(1, absl::Seconds(5)));
  std::thread second([&] {
    const auto result = Post("/v1/chat/completions", Chat());
    EXPECT_EQ(result->status, 200);
    EXPECT_GT(std::stoi(result->get_header_value("X-Queue-Ms")), 10);
  });
  httplib::Client metrics("127.0.0.1", gateway_->management_port());
  while (metrics.Get("/metrics")->body.find("queue_length{model_name=\"fake\"} 1") ==
         std::string::npos) {
    absl::SleepFor(absl::Milliseconds(2));
  }
  const auto third = Post("/v1/chat/completions", Chat());
  ExpectError(third, 429, "", "rate_limit_exceeded", "the limit is 1");
  EXPECT_TRUE(third->has_header("Retry-After"));
  first.join();
  second.join();
}

TEST_F(GatewayRoutingTest, TheQueueHonoursPriorities) {
  engines_[0] = std::make_unique<FakeEngine>(/*max_batch_size=*/1);
  engine().SetScript({.tokens = Ids("ab")});
  Start();
  engine().SetState(v1::INSTANCE_STATE_RESTARTING);
  while (Serving()) absl::SleepFor(absl::Milliseconds(2));
  httplib::Client metrics("127.0.0.1", gateway_->management_port());
  std::vector<std::thread> clients;
  for (const int priority : {5, 0, -5, 0}) {
    Json body = Chat();
    body["priority"] = priority;
    clients.emplace_back([this, body] {
      const auto result = Post("/v1/chat/completions", body);
      ASSERT_TRUE(result);
      EXPECT_EQ(result->status, 200) << result->body;
    });
    const std::string length = absl::StrCat("queue_length{model_name=\"fake\"} ", clients.size());
    while (metrics.Get("/metrics")->body.find(length) == std::string::npos) {
      absl::SleepFor(absl::Milliseconds(2));
    }
  }
  engine().SetState(v1::INSTANCE_STATE_SERVING);
  for (std::thread& client : clients) client.join();
  std::vector<int> order;
  for (const auto& request : engine().requests()) order.push_back(request.priority());
  EXPECT_THAT(order, ElementsAre(-5, 0, 0, 5));
}

TEST_F(GatewayRoutingTest, AWaitThatTakesTooLongIsRefused) {
  engines_[0] = std::make_unique<FakeEngine>(1);
  engine().SetScript({.tokens = Ids("abcdefghij"), .delay = absl::Milliseconds(60)});
  Start([](auto& options) { options.instances.queue.queue_timeout = absl::Milliseconds(50); });
  std::thread first([&] { EXPECT_EQ(Post("/v1/chat/completions", Chat())->status, 200); });
  ASSERT_TRUE(engine().WaitForRunning(1, absl::Seconds(5)));
  ExpectError(Post("/v1/chat/completions", Chat()), 504, "", "timeout", "waited");
  first.join();
}

TEST_F(GatewayRoutingTest, SpreadsLoadOverInstances) {
  engines_.push_back(std::make_unique<FakeEngine>());
  for (auto& engine : engines_) {
    engine->SetScript({.tokens = Ids("abcd"), .delay = absl::Milliseconds(20)});
  }
  Start();
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&] { EXPECT_EQ(Post("/v1/chat/completions", Chat())->status, 200); });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(engine(0).requests().size(), 4u);
  EXPECT_EQ(engine(1).requests().size(), 4u);
}

TEST_F(GatewayRoutingTest, CountsInVllmsMetrics) {
  engine().SetScript({.tokens = Ids("abc")});
  Start();
  ASSERT_EQ(Post("/v1/chat/completions", Chat())->status, 200);
  const std::string text = Client().Get("/metrics")->body;
  EXPECT_THAT(text, HasSubstr("vllm:generation_tokens_total{model_name=\"fake\"} 3"));
  EXPECT_THAT(
      text,
      HasSubstr("vllm:request_success_total{finished_reason=\"stop\",model_name=\"fake\"} 1"));
  EXPECT_THAT(text, HasSubstr("vllm:time_to_first_token_seconds_count{model_name=\"fake\"} 1"));
  for (const char* name : {"prefill_time_seconds", "decode_time_seconds", "inference_time_seconds",
                           "max_num_generation_tokens"}) {
    EXPECT_THAT(text,
                HasSubstr(absl::StrCat("vllm:request_", name, "_count{model_name=\"fake\"} 1")));
  }
  EXPECT_THAT(text, HasSubstr("vllm:request_max_num_generation_tokens_sum{model_name=\"fake\"} 3"));
  EXPECT_THAT(text, HasSubstr("vllm:num_requests_running{engine=\"0\",model_name=\"fake\"}"));
  EXPECT_THAT(text, HasSubstr("http_requests_total{handler=\"/v1/chat/"
                              "completions\",method=\"POST\",status=\"2xx\"} 1"));
}

TEST_F(GatewayRoutingTest, DrainLetsStreamsFinishAndRefusesNewOnes) {
  engine().SetScript({.tokens = Ids("abcdefghij"), .delay = absl::Milliseconds(30)});
  Start();
  SseAnswer answer;
  std::thread client([&] { answer = Stream("/v1/chat/completions", Chat()); });
  ASSERT_TRUE(engine().WaitForRunning(1, absl::Seconds(5)));
  std::thread drain([&] { gateway_->Drain(); });
  while (Client().Get("/health")->status != 503) absl::SleepFor(absl::Milliseconds(2));
  EXPECT_EQ(Client().Get("/health/live")->status, 200);
  ExpectError(Post("/v1/chat/completions", Chat()), 503, "", "service_unavailable",
              "shutting down");
  drain.join();
  client.join();
  EXPECT_TRUE(answer.done);
  EXPECT_EQ(answer.Joined("content"), "abcdefghij");
}

TEST_F(GatewayRoutingTest, DrainEndsWhatTakesTooLongWithAnError) {
  engine().SetScript({.tokens = Ids("abc"), .hang_after = 1});
  Start([](auto& options) { options.drain_timeout = absl::Milliseconds(50); });
  SseAnswer answer;
  std::thread client([&] { answer = Stream("/v1/chat/completions", Chat()); });
  ASSERT_TRUE(engine().WaitForRunning(1, absl::Seconds(5)));
  gateway_->Drain();
  client.join();
  EXPECT_TRUE(answer.done);
  EXPECT_TRUE(answer.chunks.back().contains("error"));
  EXPECT_TRUE(engine().WaitForCancelled(1, absl::Seconds(2)));
}

}  // namespace
}  // namespace vallm::testing
