// Who may use the gateway: API keys and their limits, and the keys of the management port.

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/testing/gateway_fixture.h"
#include "tests/testing/raw_client.h"

namespace vallm::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

httplib::Headers Bearer(const std::string& key) {
  return {{"Authorization", absl::StrCat("Bearer ", key)}};
}

class GatewayAccessTest : public GatewayFixture {
 protected:
  GatewayAccessTest()
      : file_(absl::StrCat(::testing::TempDir(), "/access-", ::getpid(), ".yaml")) {}
  ~GatewayAccessTest() override { std::filesystem::remove(file_); }

  void Write(const std::string& keys) {
    std::ofstream(file_ + ".new") << keys;
    std::filesystem::rename(file_ + ".new", file_);
  }
  void StartWithFile(const std::string& keys) {
    Write(keys);
    Start([this](auto& options) {
      options.api_key_file = file_;
      options.reload_interval = absl::Milliseconds(5);
    });
  }
  std::string Metrics() {
    httplib::Client client("127.0.0.1", gateway_->management_port());
    return client.Get("/metrics")->body;
  }
  int StatusWith(const std::string& key) { return Client().Get("/v1/models", Bearer(key))->status; }

  const std::string file_;
};

TEST_F(GatewayAccessTest, KeysOfAFileAreAskedForAndCounted) {
  engine().SetScript({.tokens = Ids("abc")});
  StartWithFile("keys: [{name: team-a, key: alpha}, {name: old, key: beta, expires: 2020-01-01}]");
  EXPECT_EQ(Post("/v1/chat/completions", Chat(), Bearer("alpha"))->status, 200);
  EXPECT_EQ(Post("/v1/chat/completions", Chat(), {{"X-Api-Key", "alpha"}})->status, 200);
  ExpectError(Post("/v1/chat/completions", Chat()), 401, "", "invalid_api_key", "API key");
  ExpectError(Post("/v1/chat/completions", Chat(), Bearer("alph")), 401, "", "invalid_api_key", "");
  ExpectError(Post("/v1/chat/completions", Chat(), Bearer("beta")), 401, "", "invalid_api_key",
              "\"old\" has expired");
  EXPECT_EQ(Client().Get("/health")->status, 200);
  const std::string metrics = Metrics();
  EXPECT_THAT(metrics, HasSubstr("vallm_gateway_key_requests_total{key=\"team-a\"} 2"));
  EXPECT_THAT(metrics,
              HasSubstr("vallm_gateway_key_tokens_total{key=\"team-a\",kind=\"completion\"} 6"));
  EXPECT_THAT(metrics,
              HasSubstr("vallm_gateway_key_refusals_total{key=\"\",reason=\"invalid\"} 2"));
  EXPECT_THAT(metrics,
              HasSubstr("vallm_gateway_key_refusals_total{key=\"old\",reason=\"expired\"} 1"));
  EXPECT_THAT(metrics, Not(HasSubstr("alpha")));
}

TEST_F(GatewayAccessTest, AChangedFileCountsAtOnceAndABadOneDoesNot) {
  StartWithFile("keys: [{name: a, key: alpha}]");
  EXPECT_EQ(StatusWith("alpha"), 200);
  // Before anything happens: an alert sees growth, not a series that comes into being.
  EXPECT_THAT(Metrics(), HasSubstr("reloads_total{result=\"error\",what=\"api-key\"} 0"));
  Write("keys: [{name: a, key: gamma}]");
  while (Metrics().find("reloads_total{result=\"ok\",what=\"api-key\"} 1") == std::string::npos) {
    absl::SleepFor(absl::Milliseconds(5));
  }
  EXPECT_EQ(StatusWith("alpha"), 401);
  EXPECT_EQ(StatusWith("gamma"), 200);
  Write("keys: [{name: a}]");
  while (Metrics().find("reloads_total{result=\"error\",what=\"api-key\"} 1") ==
         std::string::npos) {
    absl::SleepFor(absl::Milliseconds(5));
  }
  EXPECT_EQ(StatusWith("gamma"), 200);
}

TEST_F(GatewayAccessTest, TooManyRequestsAreToldWhenToComeAgain) {
  engine().SetScript({.tokens = Ids("abc")});
  StartWithFile("keys: [{name: a, key: alpha, requests_per_minute: 2}, {name: b, key: beta}]");
  const auto first = Post("/v1/chat/completions", Chat(), Bearer("alpha"));
  EXPECT_EQ(first->get_header_value("x-ratelimit-limit-requests"), "2");
  EXPECT_EQ(first->get_header_value("x-ratelimit-remaining-requests"), "1");
  EXPECT_THAT(first->get_header_value("x-ratelimit-reset-requests"), HasSubstr("s"));
  EXPECT_FALSE(first->has_header("x-ratelimit-limit-tokens"));
  EXPECT_EQ(Stream("/v1/chat/completions", Chat(), Bearer("alpha")).status, 200);
  const auto third = Post("/v1/chat/completions", Chat(), Bearer("alpha"));
  ExpectError(third, 429, "", "rate_limit_exceeded", "2 requests per minute");
  const int retry_after = std::stoi(third->get_header_value("Retry-After"));
  EXPECT_GE(retry_after, 1);
  EXPECT_LE(retry_after, 30);
  EXPECT_EQ(third->get_header_value_count("Retry-After"), 1u);
  EXPECT_EQ(third->get_header_value("x-ratelimit-remaining-requests"), "0");
  EXPECT_FALSE(Post("/v1/chat/completions", Chat(), Bearer("beta"))
                   ->has_header("x-ratelimit-limit-requests"));
  EXPECT_THAT(Metrics(),
              HasSubstr("vallm_gateway_key_refusals_total{key=\"a\",reason=\"requests\"} 1"));
}

TEST_F(GatewayAccessTest, ARequestThatAsksToContinueCountsOnce) {
  engine().SetScript({.tokens = Ids("abc")});
  StartWithFile("keys: [{name: a, key: alpha, requests_per_minute: 9}]");
  httplib::Headers headers = Bearer("alpha");
  headers.emplace("Expect", "100-continue");
  const auto answer = Post("/v1/chat/completions", Chat(), headers);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->get_header_value("x-ratelimit-remaining-requests"), "8");
}

TEST_F(GatewayAccessTest, TokensAreChargedAndLimited) {
  engine().SetScript({.tokens = Ids(std::string(50, 'x'))});
  StartWithFile("keys: [{name: a, key: alpha, tokens_per_minute: 40}]");
  const auto first = Stream("/v1/chat/completions", Chat(), Bearer("alpha"));
  EXPECT_EQ(first.status, 200);
  const auto second = Post("/v1/chat/completions", Chat(), Bearer("alpha"));
  ExpectError(second, 429, "", "rate_limit_exceeded", "40 tokens per minute");
  EXPECT_EQ(second->get_header_value("x-ratelimit-remaining-tokens"), "0");
}

TEST_F(GatewayAccessTest, WhatWasGeneratedForAClientThatLeftIsCharged) {
  engine().SetScript({.tokens = Ids(std::string(50, 'x')), .hang_after = 30});
  StartWithFile("keys: [{name: a, key: alpha, tokens_per_minute: 1000}]");
  RawClient client(gateway_->port());
  const std::string body = Chat().dump();
  client.Send(
      absl::StrCat("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ",
                   "alpha\r\nContent-Length: ", body.size(), "\r\n\r\n", body));
  while (engine().written_chunks() < 30) absl::SleepFor(absl::Milliseconds(2));
  client.Close();
  ASSERT_TRUE(engine().WaitForCancelled(1, absl::Seconds(5)));
  const std::string charged = "key_tokens_total{key=\"a\",kind=\"completion\"} ";
  std::string metrics;
  for (int tries = 0; tries < 500 && metrics.find(charged) == std::string::npos; ++tries) {
    absl::SleepFor(absl::Milliseconds(10));
    metrics = Metrics();
  }
  EXPECT_THAT(metrics, HasSubstr(charged + "30\n"));
  EXPECT_THAT(metrics, HasSubstr("vllm:generation_tokens_total{model_name=\"fake\"} 30\n"));
}

TEST_F(GatewayAccessTest, RequestsAtOnceAreLimitedPerKeyAndComeFree) {
  engine().SetScript({.tokens = Ids("abc"), .hang_after = 1});
  StartWithFile("keys: [{name: a, key: alpha, max_concurrent_requests: 1}, {name: b, key: beta}]");
  {
    httplib::Client client = Client();
    httplib::Request request;
    request.method = "POST";
    request.path = "/v1/chat/completions";
    request.headers = Bearer("alpha");
    Json body = Chat();
    body["stream"] = true;
    request.body = body.dump();
    request.content_receiver = [&](const char*, size_t, size_t, size_t) {
      ExpectError(Post("/v1/chat/completions", Chat(), Bearer("alpha")), 429, "",
                  "rate_limit_exceeded", "1 requests at once");
      EXPECT_EQ(StatusWith("beta"), 200);
      return false;  // goes away
    };
    client.send(request);
  }
  ASSERT_TRUE(engine().WaitForCancelled(1, absl::Seconds(5)));
  engine().SetScript({.tokens = Ids("abc")});
  int status = 429;
  while (status == 429) status = Post("/v1/chat/completions", Chat(), Bearer("alpha"))->status;
  EXPECT_EQ(status, 200);
}

TEST_F(GatewayAccessTest, AKeysPriorityBoundsThatOfItsRequests) {
  engine().SetScript({.tokens = Ids("abc")});
  StartWithFile("keys: [{name: a, key: alpha, priority: 5}, {name: b, key: beta}]");
  const auto priority_with = [this](const std::string& key, int asked) {
    Json body = Chat();
    body["priority"] = asked;
    EXPECT_EQ(Post("/v1/chat/completions", body, Bearer(key))->status, 200);
    return engine().requests().back().priority();
  };
  EXPECT_EQ(priority_with("alpha", -100), 5);
  EXPECT_EQ(priority_with("alpha", 0), 5);
  EXPECT_EQ(priority_with("alpha", 3), 8);
  EXPECT_EQ(priority_with("alpha", std::numeric_limits<int32_t>::max()),
            std::numeric_limits<int32_t>::max());
  EXPECT_EQ(priority_with("beta", -100), -100);
}

TEST_F(GatewayAccessTest, TheManagementPortHasKeysOfItsOwn) {
  Start([](auto& options) {
    options.api_keys = {"user"};
    options.admin_api_keys = {"admin"};
  });
  httplib::Client management("127.0.0.1", gateway_->management_port());
  EXPECT_EQ(management.Get("/health/live")->status, 200);
  EXPECT_EQ(management.Get("/metrics")->status, 200);
  EXPECT_EQ(management.Get("/", Bearer("user"))->status, 200) << "the page itself is public";
  EXPECT_EQ(StatusWith("admin"), 401);
  EXPECT_EQ(StatusWith("user"), 200);
}

TEST_F(GatewayAccessTest, RefusesToStartWithABadKeyFile) {
  Write("keys: [{name: a}]");
  gateway::GatewayOptions options;
  options.instances.addresses = {engine().address()};
  options.http = options.management = {.host = "127.0.0.1", .port = 0};
  options.api_key_file = file_;
  const auto gateway = gateway::Gateway::Start(options);
  EXPECT_EQ(gateway.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(gateway.status().message()), HasSubstr("key \"a\" needs either"));
}

}  // namespace
}  // namespace vallm::testing
