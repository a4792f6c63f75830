// A gateway between a real HTTP client and fake services, all in one process on free ports.
#ifndef VALLM_TESTS_TESTING_GATEWAY_FIXTURE_H_
#define VALLM_TESTS_TESTING_GATEWAY_FIXTURE_H_

#include <httplib.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "gateway/gateway.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/testing/fake_engine.h"
#include "tests/testing/fake_tokenizer.h"

namespace vallm::testing {

using Json = nlohmann::ordered_json;

// A streamed answer, taken apart. Reading it also checks that nothing but "data: …" and blank lines
// was sent and that [DONE] came last and once.
struct SseAnswer {
  int status = 0;
  httplib::Headers headers = {};
  std::vector<Json> chunks = {};  // without [DONE]
  bool done = false;

  // The concatenation of one delta field over all chunks of a choice.
  std::string Joined(const std::string& field, int choice = 0) const {
    std::string joined;
    for (const Json& chunk : chunks) {
      if (!chunk.contains("choices")) continue;
      for (const Json& part : chunk["choices"]) {
        if (part["index"] != choice || !part.contains("delta")) continue;
        if (part["delta"].contains(field) && part["delta"][field].is_string()) {
          joined += part["delta"][field].get<std::string>();
        }
      }
    }
    return joined;
  }
  // The finish reasons that were sent, in order.
  std::vector<std::string> FinishReasons() const {
    std::vector<std::string> reasons;
    for (const Json& chunk : chunks) {
      if (!chunk.contains("choices")) continue;
      for (const Json& part : chunk["choices"]) {
        if (part["finish_reason"].is_string()) reasons.push_back(part["finish_reason"]);
      }
    }
    return reasons;
  }
};

inline SseAnswer ParseSse(int status, httplib::Headers headers, const std::string& body) {
  SseAnswer answer{.status = status, .headers = std::move(headers)};
  size_t start = 0;
  while (start < body.size()) {
    const size_t end = body.find("\n\n", start);
    EXPECT_NE(end, std::string::npos) << "unterminated event: " << body.substr(start);
    if (end == std::string::npos) break;
    const std::string event = body.substr(start, end - start);
    start = end + 2;
    EXPECT_EQ(event.rfind("data: ", 0), 0u) << event;
    EXPECT_EQ(event.find('\n'), std::string::npos) << event;
    EXPECT_FALSE(answer.done) << "after [DONE]: " << event;
    if (event == "data: [DONE]") {
      answer.done = true;
    } else {
      answer.chunks.push_back(Json::parse(event.substr(6)));
    }
  }
  return answer;
}

class GatewayFixture : public ::testing::Test {
 protected:
  void SetUp() override { engines_.push_back(std::make_unique<FakeEngine>()); }

  // Starts the gateway over engines_ and tokenizer_ and waits until it is ready.
  void Start(const std::function<void(gateway::GatewayOptions&)>& adjust = nullptr) {
    gateway::GatewayOptions options;
    options.http.host = options.management.host = "127.0.0.1";
    options.http.port = options.management.port = 0;
    for (const auto& engine : engines_) options.instances.addresses.push_back(engine->address());
    options.tokenizer.address = tokenizer_.address();
    options.served_model_names = {"fake"};
    if (adjust) adjust(options);
    auto gateway = gateway::Gateway::Start(options);
    ASSERT_TRUE(gateway.ok()) << gateway.status();
    gateway_ = *std::move(gateway);
    for (int i = 0; i < 1000 && !Serving(); ++i) absl::SleepFor(absl::Milliseconds(5));
    ASSERT_TRUE(Serving()) << "the gateway did not become ready";
  }

  FakeEngine& engine(size_t index = 0) { return *engines_[index]; }

  httplib::Client Client() {
    httplib::Client client("127.0.0.1", gateway_->port());
    client.set_tcp_nodelay(true);
    client.set_keep_alive(true);
    client.set_read_timeout(20);
    return client;
  }

  httplib::Result Post(const std::string& path, const Json& body,
                       const httplib::Headers& headers = {}) {
    return Client().Post(path, headers, body.dump(), "application/json");
  }

  SseAnswer Stream(const std::string& path, Json body, const httplib::Headers& headers = {}) {
    body["stream"] = true;
    auto result = Post(path, body, headers);
    if (!result) {
      ADD_FAILURE() << httplib::to_string(result.error());
      return {};
    }
    return ParseSse(result->status, result->headers, result->body);
  }

  static Json Chat(const std::string& text = "hi") {
    return {{"model", "fake"}, {"messages", {{{"role", "user"}, {"content", text}}}}};
  }

  static void ExpectError(const httplib::Result& result, int status, const std::string& param,
                          const std::string& code, const std::string& text) {
    ASSERT_TRUE(result) << httplib::to_string(result.error());
    EXPECT_EQ(result->status, status) << result->body;
    const Json body = Json::parse(result->body, nullptr, /*allow_exceptions=*/false);
    ASSERT_TRUE(body.contains("error")) << result->body;
    const Json& error = body["error"];
    EXPECT_EQ(error["param"], param.empty() ? Json(nullptr) : Json(param)) << result->body;
    EXPECT_EQ(error["code"], code.empty() ? Json(nullptr) : Json(code)) << result->body;
    EXPECT_NE(error["message"].get<std::string>().find(text), std::string::npos) << result->body;
    EXPECT_TRUE(error["type"].is_string());
  }

  // Whether every instance serves, as the metrics say.
  bool Serving() {
    httplib::Client client("127.0.0.1", gateway_->management_port());
    auto result = client.Get("/metrics");
    size_t serving = 0;
    size_t at = 0;
    const std::string name = "vallm_gateway_instance_serving{";
    while (result && (at = result->body.find(name, at)) != std::string::npos) {
      const size_t end = result->body.find('\n', at);
      if (result->body.substr(end - 2, 2) == " 1") ++serving;
      at = end;
    }
    return serving == engines_.size();
  }

  std::vector<std::unique_ptr<FakeEngine>> engines_;
  FakeTokenizer tokenizer_;
  std::unique_ptr<gateway::Gateway> gateway_;
};

}  // namespace vallm::testing

#endif  // VALLM_TESTS_TESTING_GATEWAY_FIXTURE_H_
