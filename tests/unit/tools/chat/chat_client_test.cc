#include "tools/chat/chat_client.h"

#include <httplib.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace vallm::tools {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using testing::IsOk;
using ::testing::Pair;
using testing::StatusIs;

// An endpoint that records requests and sends a stream made by the test.
class FakeEndpoint {
 public:
  FakeEndpoint() {
    server_.Get("/v1/models", [](const httplib::Request&, httplib::Response& reply) {
      reply.set_content(R"({"data":[{"id":"first"},{"id":"second"}]})", "application/json");
    });
    server_.Post("/v1/chat/completions",
                 [this](const httplib::Request& request, httplib::Response& reply) {
                   requests.push_back(json::parse(request.body));
                   authorization = request.get_header_value("Authorization");
                   reply.status = status;
                   reply.set_content(body, "text/event-stream");
                 });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    server_.wait_until_ready();
  }
  ~FakeEndpoint() {
    server_.stop();
    thread_.join();
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/v1"; }

  int status = 200;
  std::string body;
  std::vector<json> requests;
  std::string authorization;

 private:
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
};

std::string Delta(const json& delta) {
  return "data: " + json{{"choices", {{{"delta", delta}}}}}.dump() + "\n\n";
}

constexpr char kEnd[] =
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
    "data: {\"choices\":[],\"usage\":{}}\n\ndata: [DONE]\n\n";

class ChatClientTest : public ::testing::Test {
 protected:
  ChatClient Connect(ChatOptions options = {}) {
    options.url = endpoint_.url();
    auto client = ChatClient::Connect(std::move(options));
    EXPECT_THAT(client, IsOk());
    return *std::move(client);
  }

  absl::StatusOr<ChatClient::Answer> Send(ChatClient& client, const std::string& text) {
    return client.Send(text, [this](bool thinking, std::string_view piece) {
      pieces_.emplace_back(thinking, std::string(piece));
      return pieces_.size() < limit_;
    });
  }

  FakeEndpoint endpoint_;
  std::vector<std::pair<bool, std::string>> pieces_;
  size_t limit_ = 1000;
};

TEST_F(ChatClientTest, StreamsThoughtsAndText) {
  // vallm sends thoughts under both names that clients look for; they must not be shown twice.
  endpoint_.body = Delta({{"role", "assistant"}, {"content", ""}}) +
                   Delta({{"reasoning_content", "hm"}, {"reasoning", "hm"}}) +
                   Delta({{"content", "a"}}) + Delta({{"content", "b"}}) + kEnd;
  ChatClient client = Connect();
  EXPECT_EQ(client.model(), "first");
  const auto answer = Send(client, "hi");
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(answer->content, "ab");
  EXPECT_EQ(answer->finish_reason, "stop");
  EXPECT_THAT(pieces_, ElementsAre(Pair(true, "hm"), Pair(false, "a"), Pair(false, "b")));
}

TEST_F(ChatClientTest, FindsTheApiOfAUrlWithoutAPath) {
  const std::string url = endpoint_.url();
  for (const std::string& origin : {url.substr(0, url.size() - 3), url.substr(0, url.size() - 2)}) {
    ChatOptions options;
    options.url = origin;
    const auto client = ChatClient::Connect(std::move(options));
    ASSERT_THAT(client, IsOk()) << origin;
    EXPECT_EQ(client->model(), "first");
  }
}

TEST_F(ChatClientTest, SendsTheConversationAndTheOptions) {
  endpoint_.body = Delta({{"content", "one"}}) + kEnd;
  ChatClient client = Connect({.url = "",
                               .api_key = "k",
                               .model = "m",
                               .system = "s",
                               .think = false,
                               .temperature = 0.5,
                               .max_tokens = 7});
  ASSERT_THAT(Send(client, "q1"), IsOk());
  ASSERT_THAT(Send(client, "q2"), IsOk());
  const json& request = endpoint_.requests.at(1);
  EXPECT_EQ(request.at("messages"), json::parse(R"([
      {"role":"system","content":"s"}, {"role":"user","content":"q1"},
      {"role":"assistant","content":"one"}, {"role":"user","content":"q2"}])"));
  EXPECT_EQ(request.at("model"), "m");
  EXPECT_EQ(request.at("stream"), true);
  EXPECT_EQ(request.at("temperature"), 0.5);
  EXPECT_EQ(request.at("max_tokens"), 7);
  EXPECT_EQ(request.at("chat_template_kwargs"), json::parse(R"({"enable_thinking":false})"));
  EXPECT_EQ(endpoint_.authorization, "Bearer k");
}

TEST_F(ChatClientTest, ForgetsAfterReset) {
  endpoint_.body = Delta({{"content", "one"}}) + kEnd;
  ChatClient client = Connect();
  ASSERT_THAT(Send(client, "q1"), IsOk());
  client.Reset();
  ASSERT_THAT(Send(client, "q2"), IsOk());
  EXPECT_EQ(endpoint_.requests.at(1).at("messages").size(), 1u);
}

TEST_F(ChatClientTest, SaysWhatTheServerRefused) {
  endpoint_.status = 400;
  endpoint_.body = R"({"error":{"message":"prompt too long"}})";
  ChatClient client = Connect();
  EXPECT_THAT(Send(client, "q"), StatusIs(absl::StatusCode::kFailedPrecondition,
                                          "the server answered 400: prompt too long"));
  endpoint_.status = 401;
  EXPECT_THAT(Send(client, "q"), StatusIs(absl::StatusCode::kUnauthenticated, "give --api-key"));
}

TEST_F(ChatClientTest, AnErrorInTheStreamIsNotPartOfTheConversation) {
  endpoint_.body =
      Delta({{"content", "a"}}) + "data: {\"error\":{\"message\":\"worker died\"}}\n\n";
  ChatClient client = Connect();
  EXPECT_THAT(Send(client, "q1"), StatusIs(absl::StatusCode::kUnavailable, "worker died"));
  endpoint_.body = Delta({{"content", "a"}});
  EXPECT_THAT(Send(client, "q2"), StatusIs(absl::StatusCode::kUnavailable, "ended too early"));
  endpoint_.body = kEnd;
  ASSERT_THAT(Send(client, "q3"), IsOk());
  EXPECT_EQ(endpoint_.requests.back().at("messages").size(), 1u);
}

TEST_F(ChatClientTest, BreaksOff) {
  endpoint_.body = Delta({{"content", "a"}}) + Delta({{"content", "b"}}) + kEnd;
  limit_ = 1;
  ChatClient client = Connect();
  const auto answer = Send(client, "q");
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(answer->content, "a");
  EXPECT_EQ(answer->finish_reason, "");
}

TEST(ChatClient, RefusesWhatIsNoEndpoint) {
  const auto connect = [](const char* url) {
    ChatOptions options;
    options.url = url;
    return ChatClient::Connect(std::move(options));
  };
  EXPECT_THAT(connect("localhost:8000"),
              StatusIs(absl::StatusCode::kInvalidArgument, "is not a URL"));
  EXPECT_THAT(connect("http:///v1"), StatusIs(absl::StatusCode::kInvalidArgument, "has no host"));
  EXPECT_THAT(connect("https://localhost/v1"), StatusIs(absl::StatusCode::kUnimplemented, "TLS"));
  EXPECT_THAT(connect("http://127.0.0.1:1/v1"), StatusIs(absl::StatusCode::kUnavailable, ":1"));
}

}  // namespace
}  // namespace vallm::tools
