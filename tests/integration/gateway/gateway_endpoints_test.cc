// The endpoints that generate nothing.

#include <thread>

#include "tests/testing/gateway_fixture.h"

namespace vallm::testing {
namespace {

class GatewayEndpointsTest : public GatewayFixture {
 protected:
  Json Ok(const std::string& path, const Json& body) {
    const auto result = Post(path, body);
    EXPECT_TRUE(result);
    EXPECT_EQ(result->status, 200) << path << ": " << result->body;
    return Json::parse(result->body);
  }
};

TEST_F(GatewayEndpointsTest, RendersAChatWithoutAnEngine) {
  Start();
  const std::string text = R"([{"role":"user","content":"hi"}])";
  for (const char* path : {"/apply-template", "/v1/chat/completions/render"}) {
    tokenizer_.SetPrompt({}, v1::PROMPT_THINK_STATE_NONE);
    Json body = Chat();
    body["enable_thinking"] = false;
    Json answer = Ok(path, body);
    EXPECT_EQ(answer["model"], "fake");
    EXPECT_EQ(answer["prompt"], text);
    EXPECT_EQ(answer["token_ids"], Ids(text));
    EXPECT_EQ(answer["count"], text.size());
    EXPECT_EQ(answer["max_model_len"], 4096);
    EXPECT_EQ(answer["think_state"], "none");
    EXPECT_EQ(tokenizer_.last_render().template_kwargs_json(), R"({"enable_thinking":false})");
    tokenizer_.SetPrompt({1, kThink}, v1::PROMPT_THINK_STATE_OPEN);
    EXPECT_EQ(Ok(path, body)["think_state"], "open");
  }
  EXPECT_TRUE(engine().requests().empty());
}

TEST_F(GatewayEndpointsTest, CountsTheTokensOfAChat) {
  tokenizer_.SetPrompt({1, 2, 3}, v1::PROMPT_THINK_STATE_NONE);
  Start();
  EXPECT_EQ(Ok("/v1/chat/completions/input_tokens", Chat())["input_tokens"], 3);
  tokenizer_.FailRender({grpc::StatusCode::INVALID_ARGUMENT, "messages[0].content: is odd"});
  ExpectError(Post("/v1/chat/completions/input_tokens", Chat()), 400, "messages[0].content", "",
              "is odd");
  tokenizer_.FailRender({grpc::StatusCode::INVALID_ARGUMENT, "template line 3, column 1: no"});
  ExpectError(Post("/apply-template", Chat()), 400, "messages", "", "template line 3");
}

TEST_F(GatewayEndpointsTest, TakesAnAnswerApart) {
  Start();
  Json answer = Ok("/parse", {{"tokens", Ids("hmm")}, {"think_state", "open"}});
  EXPECT_EQ(answer["message"]["reasoning_content"], "hmm");
  EXPECT_EQ(answer["message"]["content"], "");
  EXPECT_EQ(answer["reasoning_tokens"], 3);
  EXPECT_EQ(Ok("/parse", {{"text", "<think>a</think>b"}})["message"]["reasoning"], "a");
  answer = Ok("/parse", {{"text", "hmm"}, {"think_state", "open"}, {"reasoning_parser", ""}});
  EXPECT_EQ(answer["message"]["content"], "hmm");
  EXPECT_EQ(answer["message"]["reasoning"], nullptr);
  std::vector<int32_t> ids = {kToolCall};
  for (const int32_t id : Ids(R"({"name": "f", "arguments": {}})")) ids.push_back(id);
  ids.push_back(kToolCallEnd);
  answer = Ok("/parse", {{"tokens", ids}, {"tools", {{{"function", {{"name", "f"}}}}}}});
  EXPECT_EQ(answer["message"]["tool_calls"][0]["function"],
            (Json{{"name", "f"}, {"arguments", "{}"}}));
  EXPECT_EQ(answer["message"]["content"], nullptr);
  EXPECT_EQ(answer["finish_reason"], "tool_calls");
  answer = Ok("/parse", {{"text", "ab END c"}, {"stop", "END"}});
  EXPECT_EQ(answer["message"]["content"], "ab ");
  EXPECT_EQ(answer["stop_reason"], "END");
  EXPECT_EQ(Ok("/parse", {{"text", "a"}, {"finish_reason", "length"}})["finish_reason"], "length");
  EXPECT_TRUE(engine().requests().empty());
}

TEST_F(GatewayEndpointsTest, TokenizesUnderBothPaths) {
  Start();
  for (const std::string base : {"", "/v1"}) {
    EXPECT_EQ(Ok(base + "/tokenize", {{"prompt", "hi"}})["tokens"], Json({104, 105}));
    EXPECT_EQ(Ok(base + "/detokenize", {{"tokens", {104, 105}}})["prompt"], "hi");
  }
  const auto result = Post("/tokenize", {{"prompt", "hi"}, {"colour", "red"}});
  EXPECT_EQ(result->get_header_value("X-Ignored-Params"), "colour");
}

TEST_F(GatewayEndpointsTest, DescribesTheTokenizer) {
  Start();
  const auto result = Client().Get("/tokenizer_info");
  ASSERT_EQ(result->status, 200);
  EXPECT_EQ(Json::parse(result->body), (Json{{"eos_token", "<|im_end|>"},
                                             {"chat_template", "{{ messages }}"},
                                             {"model_max_length", 4096}}));
}

TEST_F(GatewayEndpointsTest, CountsWhatRuns) {
  engine().SetScript({.tokens = Ids("abc"), .hang_after = 1});
  Start();
  const auto load = [&] { return Json::parse(Client().Get("/load")->body)["server_load"]; };
  EXPECT_EQ(load(), 0);
  httplib::Client client = Client();
  std::thread running(
      [&] { client.Post("/v1/chat/completions", Chat().dump(), "application/json"); });
  EXPECT_TRUE(engine().WaitForRunning(1, absl::Seconds(5)));
  EXPECT_EQ(load(), 1);
  client.stop();
  running.join();
}

}  // namespace
}  // namespace vallm::testing
