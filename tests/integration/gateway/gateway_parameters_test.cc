// Every request parameter that peers have, and its fate here: tests/data/gateway/parameters.jsonl
// says what it does to the services' requests or to the answer, or how it is refused, or that it is
// named as one without effect. README.md beside it says what the members mean.

#include <google/protobuf/util/json_util.h>

#include <cstring>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/testing/gateway_fixture.h"
#include "tests/testing/jsonl.h"
#include "tests/testing/repeats.h"

namespace vallm::testing {
namespace {

const char kParameters[] = VALLM_SOURCE_DIR "/tests/data/gateway/parameters.jsonl";

Json ToJson(const google::protobuf::Message& message) {
  std::string text;
  EXPECT_TRUE(google::protobuf::util::MessageToJsonString(message, &text).ok());
  return Json::parse(text);
}

// Every member of `expected` is in `actual`; null stands for a member that is absent.
void ExpectHas(const Json& actual, const Json& expected, const std::string& path) {
  if (!expected.is_object()) {
    EXPECT_EQ(actual, expected) << path;
    return;
  }
  for (const auto& [name, value] : expected.items()) {
    const std::string member = absl::StrCat(path, ".", name);
    if (value.is_null()) {
      EXPECT_FALSE(actual.contains(name)) << member << " is " << actual[name];
    } else if (!actual.contains(name)) {
      ADD_FAILURE() << member << " is missing in " << actual;
    } else {
      ExpectHas(actual[name], value, member);
    }
  }
}

void ExpectAt(const Json& actual, const Json& pointers) {
  for (const auto& [pointer, value] : pointers.items()) {
    const Json::json_pointer at(pointer);
    ASSERT_TRUE(actual.contains(at)) << pointer << " is missing in " << actual;
    EXPECT_EQ(actual[at], value) << pointer;
  }
}

// Tags are the fake tokenizer's ids of that name.
constexpr std::pair<const char*, int32_t> kTags[] = {{"<think>", kThink},
                                                     {"</think>", kThinkEnd},
                                                     {"<tool_call>", kToolCall},
                                                     {"</tool_call>", kToolCallEnd},
                                                     {"<|im_end|>", kEos}};
std::vector<int32_t> ScriptOf(std::string text) {
  std::vector<int32_t> ids;
  while (!text.empty()) {
    int32_t id = static_cast<unsigned char>(text.front());
    size_t size = 1;
    for (const auto& [tag, tag_id] : kTags) {
      if (!absl::StartsWith(text, tag)) continue;
      id = tag_id;
      size = std::strlen(tag);
    }
    ids.push_back(id);
    text.erase(0, size);
  }
  return ids;
}

class GatewayParametersTest : public GatewayFixture {
 protected:
  void Check(const Json& row, const std::string& api) {
    const bool chat = api == "chat";
    Json body = chat ? Chat() : Json{{"model", "fake"}, {"prompt", "hi"}};
    body.update(ExpandRepeats(row["set"]));
    engine().SetScript({.tokens = ScriptOf(row.value("script", "yes"))});
    const size_t before = engine().requests().size();
    const auto result = Post(chat ? "/v1/chat/completions" : "/v1/completions", body);
    ASSERT_TRUE(result);
    if (row.contains("refused")) {
      const std::string code = row.value("code", CodeOf(*result));
      ExpectError(result, 400, row["refused"], code, "'");
      EXPECT_EQ(engine().requests().size(), before);
      return;
    }
    ASSERT_EQ(result->status, 200) << result->body;
    EXPECT_EQ(result->get_header_value("X-Ignored-Params"), row.value("ignored", ""));
    const std::vector<v1::GenerateRequest> requests = engine().requests();
    EXPECT_EQ(requests.size() - before, row.value("engine_requests", 1u));
    CheckServices(row, requests.back());
    CheckHeaders(row, *result);
    if (body.value("stream", false)) {
      CheckStream(row, ParseSse(result->status, result->headers, result->body));
    } else {
      CheckWhole(row, Json::parse(result->body),
                 chat ? "/choices/0/message/content" : "/choices/0/text");
    }
  }

  // Empty for null.
  static std::string CodeOf(const httplib::Response& response) {
    const Json code = Json::parse(response.body)["error"]["code"];
    return code.is_string() ? code.get<std::string>() : "";
  }

  void CheckServices(const Json& row, const v1::GenerateRequest& request) {
    if (row.contains("engine")) ExpectHas(ToJson(request), row["engine"], "engine");
    if (row.contains("render"))
      ExpectHas(ToJson(tokenizer_.last_render()), row["render"], "render");
  }

  static void CheckHeaders(const Json& row, const httplib::Response& response) {
    const Json headers = row.value("headers", Json::object());
    for (const auto& [name, value] : headers.items()) {
      EXPECT_EQ(response.get_header_value(name), value.get<std::string>()) << name;
    }
    const Json patterns = row.value("headers_match", Json::object());
    for (const auto& [name, pattern] : patterns.items()) {
      const std::string value = response.get_header_value(name);
      EXPECT_TRUE(std::regex_match(value, std::regex(pattern.get<std::string>()))) << value;
    }
  }

  static void CheckWhole(const Json& row, const Json& answer, const std::string& text_at) {
    if (row.contains("text")) ExpectAt(answer, {{text_at, row["text"]}});
    if (row.contains("answer")) ExpectAt(answer, row["answer"]);
    for (const Json& pointer : row.value("has", Json::array())) {
      EXPECT_TRUE(answer.contains(Json::json_pointer(pointer.get<std::string>()))) << pointer;
    }
    for (const Json& pointer : row.value("has_not", Json::array())) {
      EXPECT_FALSE(answer.contains(Json::json_pointer(pointer.get<std::string>()))) << pointer;
    }
  }

  static void CheckStream(const Json& row, const SseAnswer& answer) {
    ASSERT_TRUE(answer.done);
    const Json& first = answer.chunks.front();
    const Json& last = answer.chunks.back();
    if (row.contains("first_chunk_has")) {
      const std::string name = row["first_chunk_has"];
      EXPECT_TRUE(first.contains(name) || first["choices"][0].contains(name)) << first;
    }
    if (row.contains("last_chunk")) ExpectAt(last, row["last_chunk"]);
    if (row.contains("last_chunk_has")) {
      EXPECT_TRUE(last.contains(Json::json_pointer(row["last_chunk_has"].get<std::string>())));
    }
    Json token_ids = Json::array();
    Json deltas = Json::object();
    for (const Json& chunk : answer.chunks) {
      for (const Json& choice : chunk["choices"]) {
        for (const Json& id : choice.value("token_ids", Json::array())) token_ids.push_back(id);
        const Json delta = choice.value("delta", Json::object());
        for (const auto& [name, value] : delta.items()) {
          deltas[name].push_back(value);
        }
      }
    }
    if (row.contains("stream_token_ids")) {
      EXPECT_EQ(token_ids, row["stream_token_ids"]);
    }
    const Json expected = row.value("deltas", Json::object());
    for (const auto& [name, pieces] : expected.items()) {
      EXPECT_EQ(deltas.value(name, Json::array()), pieces) << name;
    }
  }
};

TEST_F(GatewayParametersTest, EachHasTheFateThatTheTableSays) {
  Start();
  for (const Json& row : ReadJsonl(kParameters)) {
    for (const Json& api : row.value("in", Json{"chat", "completion"})) {
      SCOPED_TRACE(absl::StrCat(row["name"].get<std::string>(), " in a ", api.get<std::string>()));
      Check(row, api);
    }
  }
}

// However a chat says it, it is one setting: the template's, the engine's and the metrics'.
TEST_F(GatewayParametersTest, ThinkingIsCountedBySetting) {
  engine().SetScript({.tokens = ScriptOf("<think>hmm</think>yes")});
  Start();
  for (const char* said : {R"({"enable_thinking":false})", R"({"reasoning_effort":"none"})",
                           R"({"thinking":{"type":"disabled"}})", R"({"thinking_budget":0})",
                           R"({"messages":[{"role":"user","content":"hi /no_think"}]})",
                           R"({"reasoning_effort":"high"})", "{}"}) {
    Json body = Chat();
    body.update(Json::parse(said));
    EXPECT_EQ(Post("/v1/chat/completions", body)->status, 200);
  }
  const std::string metrics = Client().Get("/metrics")->body;
  for (const char* line : {R"(vallm_gateway_chats_total{model_name="fake",thinking="off"} 5)",
                           R"(vallm_gateway_chats_total{model_name="fake",thinking="on"} 1)",
                           R"(vallm_gateway_chats_total{model_name="fake",thinking="default"} 1)",
                           R"(vallm_gateway_reasoning_tokens_total{model_name="fake"} 35)"}) {
    EXPECT_NE(metrics.find(line), std::string::npos) << line;
  }
}

TEST_F(GatewayParametersTest, TheEnginesRefusalNamesTheParameter) {
  Start();
  const auto refuse = [&](const char* message) {
    engine().SetScript({.tokens = Ids("x"),
                        .fail_after = 0,
                        .status = {grpc::StatusCode::INVALID_ARGUMENT, message}});
  };
  const Json completion = {{"prompt", {5}}};
  refuse("logit_bias has id 99999; the vocabulary has ids 0 to 260");
  ExpectError(Post("/v1/completions", completion), 400, "logit_bias", "", "99999");
  ExpectError(Post("/v1/chat/completions", Chat()), 400, "logit_bias", "", "99999");
  refuse("stop_token_ids[1] is 99999; the vocabulary has ids 0 to 260");
  ExpectError(Post("/v1/completions", completion), 400, "stop_token_ids[1]", "", "99999");
  refuse("prompt_token_ids[0] is 99999; the vocabulary has ids 0 to 260");
  ExpectError(Post("/v1/completions", completion), 400, "prompt", "", "99999");
  refuse("something else: no");
  ExpectError(Post("/v1/completions", completion), 400, "", "", "something else");
}

TEST_F(GatewayParametersTest, StrictModeRefusesWhatHasNoEffect) {
  engine().SetScript({.tokens = Ids("yes")});
  Start();
  int count = 0;
  for (const Json& row : ReadJsonl(kParameters)) {
    if (!row.contains("ignored")) continue;
    ++count;
    for (const Json& api : row.value("in", Json{"chat", "completion"})) {
      Json body = api == "chat" ? Chat() : Json{{"model", "fake"}, {"prompt", "hi"}};
      body.update(row["set"]);
      const char* path = api == "chat" ? "/v1/chat/completions" : "/v1/completions";
      const std::string name = row["ignored"];
      ExpectError(Post(path, body, {{"X-Strict-Params", "true"}}), 400, name,
                  "unsupported_parameter", absl::StrCat("'", name, "'"));
      EXPECT_EQ(Post(path, body, {{"X-Strict-Params", "false"}})->status, 200);
    }
  }
  EXPECT_GT(count, 5);
  EXPECT_EQ(Post("/v1/chat/completions", Chat(), {{"X-Strict-Params", "1"}})->status, 200);
  ExpectError(Post("/v1/chat/completions", Chat(), {{"X-Strict-Params", "maybe"}}), 400,
              "x-strict-params", "", "true or false");
  Json several = Chat();
  several.update({{"aa", 1}, {"user", "u"}});
  ExpectError(Post("/v1/chat/completions", several, {{"X-Strict-Params", "true"}}), 400, "aa",
              "unsupported_parameter", "'aa', 'user' have no effect");
  for (const char* path : {"/tokenize", "/apply-template", "/v1/chat/completions/input_tokens",
                           "/v1/messages/count_tokens"}) {
    const auto refused = Post(path, several, {{"X-Strict-Params", "true"}});
    EXPECT_EQ(refused->status, 400) << path << refused->body;
    EXPECT_EQ(Post(path, several)->status, 200) << path;
  }
}

TEST_F(GatewayParametersTest, AServerCanBeStrict) {
  engine().SetScript({.tokens = Ids("yes")});
  Start([](auto& options) { options.strict_params = true; });
  Json body = Chat();
  body["user"] = "u";
  ExpectError(Post("/v1/chat/completions", body), 400, "user", "unsupported_parameter",
              "strict mode");
  EXPECT_EQ(Post("/v1/chat/completions", body, {{"X-Strict-Params", "false"}})->status, 200);
  EXPECT_EQ(Post("/v1/chat/completions", Chat())->status, 200);
}

TEST_F(GatewayParametersTest, AServerCanTrustTheTemplatesOfRequests) {
  engine().SetScript({.tokens = Ids("yes")});
  Start([](auto& options) { options.trust_request_chat_template = true; });
  Json body = Chat();
  body["chat_template"] = "{{ messages[0].content }}";
  ASSERT_EQ(Post("/v1/chat/completions", body)->status, 200);
  EXPECT_EQ(tokenizer_.last_render().chat_template(), "{{ messages[0].content }}");
  body["chat_template"] = "";
  ExpectError(Post("/v1/chat/completions", body), 400, "chat_template", "", "is empty");
}

}  // namespace
}  // namespace vallm::testing
