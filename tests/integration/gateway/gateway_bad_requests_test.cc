// Requests that must be refused: tests/data/gateway/bad_requests.jsonl, over raw sockets. Each gets
// a 4xx in the shape of its API that names the field; what the connection says about itself is true
// afterwards; other connections notice nothing; and no engine hears of any of it.

#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/testing/gateway_fixture.h"
#include "tests/testing/jsonl.h"
#include "tests/testing/raw_client.h"
#include "tests/testing/repeats.h"

namespace vallm::testing {
namespace {

const char kBadRequests[] = VALLM_SOURCE_DIR "/tests/data/gateway/bad_requests.jsonl";

// The smallest good request of an endpoint.
struct Endpoint {
  const char* name;
  const char* path;
  const char* body;
};
constexpr Endpoint kEndpoints[] = {
    {"chat", "/v1/chat/completions", R"({"messages":[{"role":"user","content":"hi"}]})"},
    {"completion", "/v1/completions", R"({"prompt":"hi"})"},
    {"messages", "/v1/messages", R"({"max_tokens":5,"messages":[{"role":"user","content":"hi"}]})"},
    {"count_tokens", "/v1/messages/count_tokens",
     R"({"messages":[{"role":"user","content":"hi"}]})"},
    {"tokenize", "/tokenize", R"({"prompt":"hi"})"},
    {"detokenize", "/detokenize", R"({"tokens":[104,105]})"},
    {"render", "/v1/chat/completions/render", R"({"messages":[{"role":"user","content":"hi"}]})"},
    {"input_tokens", "/v1/chat/completions/input_tokens",
     R"({"messages":[{"role":"user","content":"hi"}]})"},
    {"parse", "/parse", R"({"text":"hi"})"}};

// The bytes that the characters of `text`, all below U+0100, stand for.
std::string BytesOf(const std::string& text) {
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x80) {
      bytes += text[i];
    } else {
      bytes += static_cast<char>((c & 3) << 6 | (static_cast<unsigned char>(text[++i]) & 0x3F));
    }
  }
  return bytes;
}

std::string PostOf(const std::string& path, const std::string& body, const Json& headers) {
  std::string head = absl::StrCat("POST ", path, " HTTP/1.1\r\nHost: x\r\n");
  for (const Json& header : headers) {
    absl::StrAppend(&head, header.get<std::string>(), "\r\n");
  }
  return absl::StrCat(head, "Content-Length: ", body.size(), "\r\n\r\n", body);
}

std::string RequestOf(const Json& row) {
  if (row.contains("raw")) return BytesOf(ExpandRepeats(row["raw"].get<std::string>()));
  const std::string to = row["to"];
  std::string path = to;
  Json body = Json::object();
  for (const Endpoint& endpoint : kEndpoints) {
    if (to != endpoint.name) continue;
    path = endpoint.path;
    body = Json::parse(endpoint.body);
  }
  const Json headers = row.value("headers", Json::array());
  if (row.contains("body")) {
    return PostOf(path, BytesOf(ExpandRepeats(row["body"].get<std::string>())), headers);
  }
  for (const Json& name : row.value("unset", Json::array())) body.erase(name.get<std::string>());
  body.update(ExpandRepeats(row.value("set", Json::object())));
  return PostOf(path, body.dump(), headers);
}

struct Response {
  int status = 0;
  bool closes = false;
  std::string content_type;
  std::string request_id;
  std::string body;
};

// Takes the first response off `bytes`; false when there is no whole one.
bool TakeResponse(std::string* bytes, Response* response) {
  const size_t end = bytes->find("\r\n\r\n");
  if (end == std::string::npos || !absl::StartsWith(*bytes, "HTTP/1.1 ")) return false;
  *response = {};
  size_t length = 0;
  if (!absl::SimpleAtoi(bytes->substr(9, 3), &response->status)) return false;
  for (size_t at = bytes->find("\r\n") + 2; at < end + 2;) {
    const size_t line_end = bytes->find("\r\n", at);
    const std::string line = bytes->substr(at, line_end - at);
    const size_t colon = line.find(": ");
    if (colon == std::string::npos) return false;
    const std::string name = absl::AsciiStrToLower(line.substr(0, colon));
    const std::string value = line.substr(colon + 2);
    if (name == "content-length" && !absl::SimpleAtoi(value, &length)) return false;
    if (name == "connection") response->closes = absl::EqualsIgnoreCase(value, "close");
    if (name == "content-type") response->content_type = value;
    if (name == "x-request-id") response->request_id = value;
    at = line_end + 2;
  }
  if (bytes->size() < end + 4 + length) return false;
  response->body = bytes->substr(end + 4, length);
  bytes->erase(0, end + 4 + length);
  return true;
}

bool Matches(const Json& expected, int status) {
  if (!expected.is_array()) return expected == status;
  for (const Json& one : expected) {
    if (one == status) return true;
  }
  return false;
}

class GatewayBadRequestsTest : public GatewayFixture {
 protected:
  void StartSmall() {
    engine().SetScript({.tokens = Ids("ok")});
    Start([](auto& options) {
      options.http.max_body_bytes = 1000000;
      options.http.read_timeout = absl::Seconds(2);
    });
    good_ = std::make_unique<httplib::Client>(Client());
  }

  void Check(const Json& row) {
    RawClient client(gateway_->port());
    client.Send(RequestOf(row));  // the server may have refused it before its end
    if (row.value("half_close", false)) client.HalfClose();
    const Json statuses = row.value("statuses", Json::array({row.value("status", Json(400))}));
    std::string bytes;
    Response response;
    for (const Json& expected : statuses) {
      // Until the last answer ends the connection, or no more comes.
      while (!TakeResponse(&bytes, &response)) {
        const std::string more = client.ReadSome();
        ASSERT_FALSE(more.empty()) << "no answer; so far: " << bytes.substr(0, 500);
        bytes += more;
      }
      EXPECT_TRUE(Matches(expected, response.status))
          << response.status << " instead of " << expected << ": " << response.body;
      if (response.status == 200 && !row.value("ok", false)) ++answered_;
    }
    if (!row.value("ok", false)) CheckError(row, response);
    CheckConnection(response, std::move(bytes), client);
    CheckOthers();
  }

  static void CheckError(const Json& row, const Response& response) {
    EXPECT_EQ(response.content_type, "application/json");
    EXPECT_FALSE(response.request_id.empty());
    const Json body = Json::parse(response.body, nullptr, /*allow_exceptions=*/false);
    ASSERT_TRUE(body.is_object() && body.contains("error")) << response.body;
    const Json& error = body["error"];
    const std::string message = error["message"];
    EXPECT_TRUE(error["type"].is_string());
    EXPECT_NE(message.find(row.value("says", "")), std::string::npos) << response.body;
    const Json& param = row["param"];
    if (body.contains("type")) {  // Anthropic's shape has no member for the field
      EXPECT_EQ(body["type"], "error");
      if (param.is_string()) {
        EXPECT_NE(message.find(param.get<std::string>()), std::string::npos) << response.body;
      }
      return;
    }
    EXPECT_EQ(error["param"], param) << response.body;
    EXPECT_TRUE(error.contains("code"));
    if (row.contains("code")) {
      EXPECT_EQ(error["code"], row["code"]) << response.body;
    }
    if (param.is_string() && error["code"] != "model_not_found" &&
        error["code"] != "context_length_exceeded") {
      EXPECT_NE(message.find(param.get<std::string>()), std::string::npos) << response.body;
    }
  }

  // What the answer says of its connection is so.
  void CheckConnection(const Response& response, std::string bytes, RawClient& client) {
    if (response.closes) {
      EXPECT_EQ(bytes + client.ReadSome(), "") << "something follows the answer that closes";
      return;
    }
    ASSERT_TRUE(client.Send("GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"));
    Response next;
    while (!TakeResponse(&bytes, &next)) {
      const std::string more = client.ReadSome();
      ASSERT_FALSE(more.empty()) << "the connection was to stay open";
      bytes += more;
    }
    EXPECT_EQ(next.status, 200);
  }

  // A connection that has done nothing wrong goes on.
  void CheckOthers() {
    const auto models = good_->Get("/v1/models");
    ASSERT_TRUE(models);
    EXPECT_EQ(models->status, 200);
  }

  std::unique_ptr<httplib::Client> good_;  // one connection for all
  size_t answered_ = 0;
};

TEST_F(GatewayBadRequestsTest, AreRefusedByNameAndDoNoHarm) {
  StartSmall();
  const std::vector<Json> rows = ReadJsonl(kBadRequests);
  EXPECT_GE(rows.size(), 150u);
  for (const Json& row : rows) {
    SCOPED_TRACE(row["name"].get<std::string>());
    Check(row);
  }
  // Those pipelined in front of bad ones, and nothing else.
  EXPECT_EQ(engine().requests().size(), answered_);
  const auto chat = Post("/v1/chat/completions", Chat());
  ASSERT_TRUE(chat);
  EXPECT_EQ(chat->status, 200);
}

TEST_F(GatewayBadRequestsTest, TheRequestsTheyAreMadeFromAreGood) {
  StartSmall();
  for (const Endpoint& endpoint : kEndpoints) {
    const auto result = good_->Post(endpoint.path, endpoint.body, "application/json");
    ASSERT_TRUE(result);
    EXPECT_EQ(result->status, 200) << endpoint.name << ": " << result->body;
  }
}

}  // namespace
}  // namespace vallm::testing
