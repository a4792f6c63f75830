// The API of the gateway, end to end over HTTP and gRPC, with fake services behind it.

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/testing/gateway_fixture.h"

namespace vallm::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class GatewayTest : public GatewayFixture {};

std::vector<int32_t> Concat(std::vector<std::vector<int32_t>> parts) {
  std::vector<int32_t> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

TEST_F(GatewayTest, StreamsAChat) {
  engine().SetScript({.tokens = Ids("Hello!")});
  Start();
  Json body = Chat();
  body["stream_options"] = {{"include_usage", true}};
  const SseAnswer answer = Stream("/v1/chat/completions", body);
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.done);
  EXPECT_EQ(answer.Joined("content"), "Hello!");
  EXPECT_THAT(answer.FinishReasons(), ElementsAre("stop"));
  ASSERT_GE(answer.chunks.size(), 3u);
  const Json& first = answer.chunks.front();
  EXPECT_EQ(first["object"], "chat.completion.chunk");
  EXPECT_EQ(first["choices"][0]["delta"], (Json{{"role", "assistant"}, {"content", ""}}));
  for (const Json& chunk : answer.chunks) {
    for (const char* key : {"id", "created", "model", "system_fingerprint"}) {
      EXPECT_EQ(chunk[key], first[key]) << key;
    }
  }
  EXPECT_EQ(first["model"], "fake");
  EXPECT_EQ(first["usage"], nullptr);
  const Json& last = answer.chunks.back();
  EXPECT_EQ(last["choices"], Json::array());
  EXPECT_EQ(last["usage"]["completion_tokens"], 6);
  EXPECT_EQ(last["usage"]["prompt_tokens"],
            std::stoi(answer.headers.find("X-Prompt-Tokens")->second));
  EXPECT_EQ(last["usage"]["total_tokens"].get<int>(),
            last["usage"]["prompt_tokens"].get<int>() + 6);
  EXPECT_EQ(answer.headers.find("Content-Type")->second, "text/event-stream");
  EXPECT_EQ(answer.headers.find("X-Instance")->second, "engine-0");
}

TEST_F(GatewayTest, WithoutUsageOptionNoUsageIsStreamed) {
  engine().SetScript({.tokens = Ids("x")});
  Start();
  for (const Json& chunk : Stream("/v1/chat/completions", Chat()).chunks) {
    EXPECT_FALSE(chunk.contains("usage"));
  }
}

TEST_F(GatewayTest, ForcedUsageIsStreamed) {
  engine().SetScript({.tokens = Ids("x")});
  Start([](auto& options) { options.force_include_usage = true; });
  EXPECT_EQ(Stream("/v1/chat/completions", Chat()).chunks.back()["usage"]["completion_tokens"], 1);
}

TEST_F(GatewayTest, ContinuousUsageCountsUp) {
  engine().SetScript({.tokens = Ids("abc")});
  Start();
  Json body = Chat();
  body["stream_options"] = {{"include_usage", true}, {"continuous_usage_stats", true}};
  int last = 0;
  for (const Json& chunk : Stream("/v1/chat/completions", body).chunks) {
    const int count = chunk["usage"]["completion_tokens"];
    EXPECT_GE(count, last);
    last = count;
  }
  EXPECT_EQ(last, 3);
}

TEST_F(GatewayTest, AnswersAWholeChat) {
  engine().SetScript({.tokens = Ids("Hello!"), .cached_tokens = 5});
  Start();
  const auto result = Post("/v1/chat/completions", Chat(), {{"X-Request-Id", "my-id-1"}});
  ASSERT_TRUE(result);
  ASSERT_EQ(result->status, 200) << result->body;
  const Json body = Json::parse(result->body);
  EXPECT_EQ(body["object"], "chat.completion");
  const Json& choice = body["choices"][0];
  EXPECT_EQ(choice["message"]["content"], "Hello!");
  EXPECT_EQ(choice["message"]["role"], "assistant");
  EXPECT_EQ(choice["message"]["reasoning_content"], nullptr);
  EXPECT_EQ(choice["finish_reason"], "stop");
  EXPECT_EQ(choice["stop_reason"], nullptr);
  EXPECT_EQ(body["usage"]["completion_tokens"], 6);
  EXPECT_EQ(body["usage"]["prompt_tokens_details"]["cached_tokens"], 5);
  EXPECT_EQ(body["usage"]["completion_tokens_details"]["reasoning_tokens"], 0);
  EXPECT_EQ(result->get_header_value("X-Request-Id"), "my-id-1");
  EXPECT_EQ(result->get_header_value("Content-Type"), "application/json");
}

TEST_F(GatewayTest, SeparatesReasoningUnderBothNames) {
  engine().SetScript({.tokens = Concat({{kThink}, Ids("hmm"), {kThinkEnd}, Ids("yes")})});
  Start();
  const SseAnswer stream = Stream("/v1/chat/completions", Chat());
  EXPECT_EQ(stream.Joined("reasoning_content"), "hmm");
  EXPECT_EQ(stream.Joined("reasoning"), "hmm");
  EXPECT_EQ(stream.Joined("content"), "yes");
  const Json whole = Json::parse(Post("/v1/chat/completions", Chat())->body);
  EXPECT_EQ(whole["choices"][0]["message"]["reasoning_content"], "hmm");
  EXPECT_EQ(whole["choices"][0]["message"]["reasoning"], "hmm");
  EXPECT_EQ(whole["choices"][0]["message"]["content"], "yes");
  EXPECT_EQ(whole["usage"]["completion_tokens_details"]["reasoning_tokens"], 5);
}

TEST_F(GatewayTest, TheParserStartsWhereThePromptEnds) {
  tokenizer_.SetPrompt({1, kThink}, v1::PROMPT_THINK_STATE_OPEN);
  engine().SetScript({.tokens = Concat({Ids("hmm"), {kThinkEnd}, Ids("yes")})});
  Start();
  EXPECT_EQ(Stream("/v1/chat/completions", Chat()).Joined("reasoning"), "hmm");
}

TEST_F(GatewayTest, ThinkingSwitchesReachTheTemplate) {
  engine().SetScript({.tokens = Ids("x")});
  Start();
  const auto kwargs_of = [&](const Json& extra) {
    Json body = Chat();
    body.update(extra);
    const auto result = Post("/v1/chat/completions", body);
    EXPECT_EQ(result->status, 200) << result->body;
    return tokenizer_.last_render().template_kwargs_json();
  };
  const std::string off = R"({"enable_thinking":false})";
  const std::string on = R"({"enable_thinking":true})";
  EXPECT_EQ(kwargs_of(Json::object()), "");
  EXPECT_EQ(kwargs_of({{"enable_thinking", false}}), off);
  EXPECT_EQ(kwargs_of({{"reasoning_effort", "none"}}), off);
  EXPECT_EQ(kwargs_of({{"reasoning_effort", "minimal"}}), off);
  EXPECT_EQ(kwargs_of({{"reasoning_effort", "high"}}), on);
  EXPECT_EQ(kwargs_of({{"thinking", {{"type", "disabled"}}}}), off);
  EXPECT_EQ(kwargs_of({{"reasoning_effort", "none"},
                       {"chat_template_kwargs", {{"enable_thinking", true}}}}),
            on);
}

TEST_F(GatewayTest, ReportsToolCalls) {
  engine().SetScript(
      {.tokens = Concat({{kToolCall},
                         Ids(R"({"name": "get_weather", "arguments": {"city":"Oslo"}})"),
                         {kToolCallEnd, kToolCall},
                         Ids(R"({"name": "now", "arguments": {}})"),
                         {kToolCallEnd}})});
  Start();
  Json body = Chat();
  body["tools"] = Json::parse(
      R"([{"type":"function","function":{"name":"get_weather","parameters":{"type":"object"}}}])");
  const Json whole = Json::parse(Post("/v1/chat/completions", body)->body);
  const Json& message = whole["choices"][0]["message"];
  EXPECT_EQ(message["content"], nullptr);
  ASSERT_EQ(message["tool_calls"].size(), 2u);
  EXPECT_EQ(message["tool_calls"][0]["type"], "function");
  EXPECT_EQ(message["tool_calls"][0]["function"]["name"], "get_weather");
  EXPECT_EQ(message["tool_calls"][0]["function"]["arguments"], "{\"city\":\"Oslo\"}");
  EXPECT_EQ(message["tool_calls"][1]["function"]["arguments"], "{}");
  EXPECT_NE(message["tool_calls"][0]["id"], message["tool_calls"][1]["id"]);
  EXPECT_EQ(whole["choices"][0]["finish_reason"], "tool_calls");
  EXPECT_EQ(tokenizer_.last_render().tools_json(), body["tools"].dump());

  const SseAnswer stream = Stream("/v1/chat/completions", body);
  EXPECT_THAT(stream.FinishReasons(), ElementsAre("tool_calls"));
  std::vector<std::string> arguments(2);
  std::vector<std::string> names;
  for (const Json& chunk : stream.chunks) {
    for (const Json& choice : chunk["choices"]) {
      if (!choice["delta"].contains("tool_calls")) continue;
      for (const Json& call : choice["delta"]["tool_calls"]) {
        const size_t index = call["index"];
        if (call.contains("id")) {
          EXPECT_EQ(call["type"], "function");
          names.push_back(call["function"]["name"]);
        }
        arguments.at(index) += call["function"]["arguments"].get<std::string>();
      }
    }
  }
  EXPECT_THAT(names, ElementsAre("get_weather", "now"));
  EXPECT_THAT(arguments, ElementsAre("{\"city\":\"Oslo\"}", "{}"));
}

TEST_F(GatewayTest, ToolChoiceNoneHidesTheTools) {
  engine().SetScript(
      {.tokens = Concat({{kToolCall}, Ids(R"({"name": "f", "arguments": {}})"), {kToolCallEnd}})});
  Start();
  Json body = Chat();
  body["tools"] = Json::parse(R"([{"type":"function","function":{"name":"f"}}])");
  body["tool_choice"] = "none";
  const Json whole = Json::parse(Post("/v1/chat/completions", body)->body);
  EXPECT_EQ(tokenizer_.last_render().tools_json(), "");
  const Json& message = whole["choices"][0]["message"];
  EXPECT_EQ(message["content"], R"(<tool_call>{"name": "f", "arguments": {}}</tool_call>)");
  EXPECT_FALSE(message.contains("tool_calls"));
}

TEST_F(GatewayTest, ARefusedConstraintIsTheClientsOwnParameter) {
  engine().SetScript({.tokens = {},
                      .fail_after = 0,
                      .status = {grpc::StatusCode::INVALID_ARGUMENT,
                                 "constraint: #: keyword 'not' is not supported"}});
  Start();
  Json body = Chat();
  body["response_format"] =
      Json::parse(R"({"type":"json_schema","json_schema":{"name":"x","schema":{"not":{}}}})");
  for (const bool stream : {false, true}) {
    body["stream"] = stream;
    ExpectError(Post("/v1/chat/completions", body), 400, "response_format.json_schema.schema", "",
                "'response_format.json_schema.schema': #: keyword 'not'");
  }
}

TEST_F(GatewayTest, AStopStringEndsTheAnswerAndTheEngine) {
  engine().SetScript({.tokens = Ids("one two STOP three four"), .delay = absl::Milliseconds(2)});
  Start();
  Json body = Chat();
  body["stop"] = {"STOP"};
  const Json whole = Json::parse(Post("/v1/chat/completions", body)->body);
  EXPECT_EQ(whole["choices"][0]["message"]["content"], "one two ");
  EXPECT_EQ(whole["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(whole["choices"][0]["stop_reason"], "STOP");
  EXPECT_EQ(whole["usage"]["completion_tokens"], 12);  // up to the P of STOP, whatever came after
  EXPECT_TRUE(engine().WaitForCancelled(1, absl::Seconds(2)));
}

TEST_F(GatewayTest, UsageAtAStopDoesNotDependOnTheChunking) {
  Start();
  Json body = Chat();
  body["stop"] = "STOP";
  for (const int tokens_per_chunk : {1, 3, 100}) {
    engine().SetScript({.tokens = Ids("ab STOP cdefgh"), .tokens_per_chunk = tokens_per_chunk});
    const Json whole = Json::parse(Post("/v1/chat/completions", body)->body);
    EXPECT_EQ(whole["choices"][0]["message"]["content"], "ab ");
    EXPECT_EQ(whole["usage"]["completion_tokens"], 7) << tokens_per_chunk;
  }
}

TEST_F(GatewayTest, NamesTheStopTokenThatWasAskedFor) {
  engine().SetScript({.tokens = Ids("ab"), .stop_token_id = 98});
  Start();
  Json body = Chat();
  body["stop_token_ids"] = {98};
  EXPECT_EQ(Json::parse(Post("/v1/chat/completions", body)->body)["choices"][0]["stop_reason"], 98);
  engine().SetScript({.tokens = Ids("ab"), .stop_token_id = kEos});
  EXPECT_EQ(Json::parse(Post("/v1/chat/completions", body)->body)["choices"][0]["stop_reason"],
            nullptr);
}

TEST_F(GatewayTest, NeverSplitsACharacter) {
  const std::string text = "Grüße 你好 😀!";
  engine().SetScript({.tokens = Ids(text)});
  Start();
  const SseAnswer answer = Stream("/v1/chat/completions", Chat());
  EXPECT_EQ(answer.Joined("content"), text);
  for (const Json& chunk : answer.chunks) {
    EXPECT_EQ(chunk.dump().find("\xEF\xBF\xBD"), std::string::npos) << chunk;
  }
}

TEST_F(GatewayTest, PassesSamplingOnAndDrawsASeed) {
  engine().SetScript({.tokens = Ids("x")});
  Start();
  Json body = Chat();
  body.update({{"temperature", 0},
               {"top_p", 0.5},
               {"top_k", 7},
               {"seed", -3},
               {"max_tokens", 9},
               {"ignore_eos", true},
               {"stop_token_ids", {1, 2}}});
  ASSERT_EQ(Post("/v1/chat/completions", body)->status, 200);
  ASSERT_EQ(Post("/v1/chat/completions", Chat())->status, 200);
  ASSERT_EQ(Post("/v1/chat/completions", Chat())->status, 200);
  const auto requests = engine().requests();
  const v1::SamplingParams& sampling = requests[0].sampling();
  EXPECT_TRUE(sampling.has_temperature());
  EXPECT_EQ(sampling.temperature(), 0);
  EXPECT_EQ(sampling.top_p(), 0.5f);
  EXPECT_EQ(sampling.top_k(), 7);
  EXPECT_EQ(sampling.seed(), -3);
  EXPECT_EQ(requests[0].stop().max_tokens(), 9);
  EXPECT_EQ(requests[0].stop().eos_mode(), v1::EOS_MODE_IGNORE);
  EXPECT_THAT(requests[0].stop().stop_token_ids(), ElementsAre(1, 2));
  EXPECT_FALSE(requests[1].sampling().has_temperature());
  EXPECT_TRUE(requests[1].sampling().has_seed());
  EXPECT_NE(requests[1].sampling().seed(), requests[2].sampling().seed());
}

TEST_F(GatewayTest, SeveralChoicesCountThePromptOnce) {
  engine().SetScript({.tokens = Ids("abc"), .delay = absl::Milliseconds(1), .cached_tokens = 5});
  Start();
  Json body = Chat();
  body.update({{"n", 6}, {"seed", 10}});  // more than the instance runs at once
  const Json whole = Json::parse(Post("/v1/chat/completions", body)->body);
  ASSERT_EQ(whole["choices"].size(), 6u);
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(whole["choices"][i]["index"], i);
    EXPECT_EQ(whole["choices"][i]["message"]["content"], "abc");
  }
  EXPECT_EQ(whole["usage"]["completion_tokens"], 18);
  EXPECT_EQ(whole["usage"]["prompt_tokens_details"]["cached_tokens"], 5);
  const auto requests = engine().requests();
  EXPECT_EQ(whole["usage"]["prompt_tokens"], requests[0].prompt_token_ids().ids_size());
  std::vector<int64_t> seeds;
  for (const auto& request : requests) seeds.push_back(request.sampling().seed());
  EXPECT_THAT(seeds, ::testing::UnorderedElementsAre(10, 11, 12, 13, 14, 15));
  const SseAnswer stream = Stream("/v1/chat/completions", body);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(stream.Joined("content", i), "abc");
  EXPECT_EQ(stream.FinishReasons().size(), 6u);
}

TEST_F(GatewayTest, CompletesTextAndTokenIds) {
  engine().SetScript({.tokens = Concat({{kThink}, Ids("raw\n"), {kThinkEnd}, Ids("text")})});
  Start();
  const Json text =
      Json::parse(Post("/v1/completions", {{"model", "fake"}, {"prompt", "abc"}})->body);
  EXPECT_EQ(text["object"], "text_completion");
  EXPECT_EQ(text["choices"][0]["text"], "<think>raw\n</think>text");
  EXPECT_EQ(text["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(text["usage"]["prompt_tokens"], 3);
  const SseAnswer stream = Stream(
      "/v1/completions", {{"prompt", {104, 105}}, {"stream_options", {{"include_usage", true}}}});
  std::string joined;
  for (const Json& chunk : stream.chunks) {
    for (const Json& choice : chunk["choices"]) joined += choice["text"].get<std::string>();
  }
  EXPECT_EQ(joined, "<think>raw\n</think>text");
  EXPECT_TRUE(stream.done);
  EXPECT_EQ(stream.chunks.back()["usage"]["prompt_tokens"], 2);
  const auto requests = engine().requests();
  EXPECT_THAT(requests[1].prompt_token_ids().ids(), ElementsAre(104, 105));
  EXPECT_EQ(requests[0].stop().max_tokens(), 16);  // OpenAI's default
}

TEST_F(GatewayTest, CompletesAListOfPrompts) {
  engine().SetScript({.tokens = Ids("ok")});
  Start();
  const Json body =
      Json::parse(Post("/v1/completions", {{"prompt", {"abc", "de"}}, {"n", 2}})->body);
  ASSERT_EQ(body["choices"].size(), 4u);
  EXPECT_EQ(body["choices"][3]["text"], "ok");
  EXPECT_EQ(body["usage"]["prompt_tokens"], 5);
  ExpectError(Post("/v1/completions", {{"prompt", "x"}, {"suffix", "y"}}), 400, "suffix",
              "unsupported_parameter", "suffix");
}

TEST_F(GatewayTest, ParametersReachTheEngine) {
  engine().SetScript({.tokens = Ids("x")});
  Start();
  Json body = Chat();
  body.update(Json::parse(R"({"presence_penalty":0.5,"frequency_penalty":-2,
      "repetition_penalty":1.25,"min_p":0.125,"min_tokens":3,"logit_bias":{"5":-100},
      "bad_words":["ab"," cd"],"allowed_token_ids":[9,3],"cache_salt":"tenant 7","priority":-3})"));
  const auto result = Post("/v1/chat/completions", body);
  ASSERT_EQ(result->status, 200) << result->body;
  EXPECT_FALSE(result->has_header("X-Ignored-Params"));
  const v1::GenerateRequest request = engine().requests().at(0);
  const v1::SamplingParams& sampling = request.sampling();
  EXPECT_EQ(sampling.presence_penalty(), 0.5f);
  EXPECT_EQ(sampling.frequency_penalty(), -2);
  EXPECT_EQ(sampling.repetition_penalty(), 1.25f);
  EXPECT_EQ(sampling.min_p(), 0.125f);
  EXPECT_EQ(sampling.logit_bias().at(5), -100);
  // After a space the words are longer, hence no tokens of their own.
  ASSERT_EQ(sampling.bad_words_size(), 2);
  EXPECT_THAT(sampling.bad_words(0).ids(), ElementsAre('a', 'b'));
  EXPECT_THAT(sampling.bad_words(1).ids(), ElementsAre('c', 'd'));
  EXPECT_THAT(sampling.allowed_token_ids().ids(), ElementsAre(9, 3));
  EXPECT_EQ(request.stop().min_tokens(), 3);
  EXPECT_EQ(request.cache_salt(), "tenant 7");
  EXPECT_EQ(request.priority(), -3);
  EXPECT_FALSE(request.has_logprobs());

  body = Chat();
  body["min_tokens"] = 30;
  body["max_tokens"] = 20;
  ExpectError(Post("/v1/chat/completions", body), 400, "min_tokens", "", "at most max_tokens");
}

TEST_F(GatewayTest, ChatLogprobsComeWithTheTextOfTheirTokens) {
  // The second character arrives in two tokens; the end of the turn shows nowhere.
  engine().SetScript({.tokens = Concat({Ids("a\xc3\xa4z"), {kEos}})});
  Start();
  Json body = Chat();
  body["logprobs"] = true;
  body["top_logprobs"] = 2;
  const Json whole = Json::parse(Post("/v1/chat/completions", body)->body);
  const Json& content = whole["choices"][0]["logprobs"]["content"];
  ASSERT_EQ(content.size(), 5u) << "every token of the answer";
  EXPECT_EQ(content[0]["token"], "a");
  EXPECT_EQ(content[0]["bytes"], Json({97}));
  EXPECT_FLOAT_EQ(content[0]["logprob"].get<float>(), -0.97f);
  ASSERT_EQ(content[0]["top_logprobs"].size(), 2u);
  EXPECT_EQ(content[0]["top_logprobs"][1]["token"], "b");
  EXPECT_EQ(content[1]["bytes"], Json({0xc3}));
  EXPECT_EQ(engine().requests().at(0).logprobs().top_count(), 2);

  const SseAnswer stream = Stream("/v1/chat/completions", body);
  Json streamed = Json::array();
  std::string text;
  for (const Json& chunk : stream.chunks) {
    const Json& choice = chunk["choices"][0];
    if (choice["delta"].contains("content")) text += choice["delta"]["content"];
    if (choice["logprobs"].is_null()) continue;
    for (const Json& token : choice["logprobs"]["content"]) streamed.push_back(token);
    size_t bytes = 0;
    for (const Json& token : streamed) {
      if (token["token"] != "<|im_end|>") bytes += token["bytes"].size();
    }
    EXPECT_EQ(bytes, text.size()) << "what shows is what has its log-probabilities";
  }
  EXPECT_EQ(streamed, content);
}

TEST_F(GatewayTest, PromptLogprobsAreThoseOfEachPrompt) {
  engine().SetScript({.tokens = Ids("ok")});
  Start();
  const Json body = Json::parse(
      Post("/v1/completions", {{"prompt", {"abc", "de"}}, {"n", 2}, {"prompt_logprobs", 0}})->body);
  ASSERT_EQ(body["choices"].size(), 4u);
  for (int i = 0; i < 4; ++i) {
    const Json& prompt = body["choices"][i]["prompt_logprobs"];
    ASSERT_EQ(prompt.size(), i < 2 ? 3u : 2u);
    EXPECT_EQ(prompt[0], nullptr);
    EXPECT_EQ(prompt[1],
              Json::parse(i < 2 ? R"({"98":{"logprob":-1,"rank":1,"decoded_token":"b"}})"
                                : R"({"101":{"logprob":-1,"rank":1,"decoded_token":"e"}})"));
    EXPECT_EQ(body["choices"][i]["logprobs"], nullptr);
  }
  Json chat = Chat();
  chat["prompt_logprobs"] = 1;
  const Json answer = Json::parse(Post("/v1/chat/completions", chat)->body);
  EXPECT_EQ(answer["prompt_logprobs"].size(), answer["usage"]["prompt_tokens"].get<size_t>());
  chat["stream"] = true;
  ExpectError(Post("/v1/chat/completions", chat), 400, "prompt_logprobs", "", "cannot be streamed");
}

TEST_F(GatewayTest, AnEchoIsThePromptBeforeTheAnswerWithItsLogprobs) {
  engine().SetScript({.tokens = Ids("ok")});
  Start();
  Json body = {{"prompt", Json::parse(R"(["ab","xy"])")}, {"echo", true}};
  const Json plain = Json::parse(Post("/v1/completions", body)->body);
  EXPECT_EQ(plain["choices"][0]["text"], "abok");
  EXPECT_EQ(plain["choices"][1]["text"], "xyok");
  EXPECT_FALSE(engine().requests().at(0).has_prompt_logprobs());
  body["prompt"] = Json::parse("[97,98]");
  EXPECT_EQ(Json::parse(Post("/v1/completions", body)->body)["choices"][0]["text"], "abok");
  body["logprobs"] = 1;
  const Json choice = Json::parse(Post("/v1/completions", body)->body)["choices"][0];
  EXPECT_FALSE(choice.contains("prompt_logprobs"));
  const Json& logprobs = choice["logprobs"];
  EXPECT_EQ(logprobs["tokens"], Json({"a", "b", "o", "k"}));
  EXPECT_EQ(logprobs["text_offset"], Json({0, 1, 2, 3}));
  EXPECT_EQ(logprobs["token_logprobs"][0], nullptr);
  EXPECT_EQ(logprobs["token_logprobs"][1], -1);
  EXPECT_EQ(logprobs["top_logprobs"][0], nullptr);
  body["stream"] = true;
  ExpectError(Post("/v1/completions", body), 400, "echo", "", "cannot be streamed");
}

TEST_F(GatewayTest, CompletionLogprobsAndTheBestOfSeveral) {
  engine().SetScript({.tokens = Ids("abc")});
  Start();
  Json body = {{"prompt", "x"}, {"logprobs", 2}, {"max_tokens", 2}};
  const Json whole = Json::parse(Post("/v1/completions", body)->body)["choices"][0]["logprobs"];
  EXPECT_EQ(whole["tokens"], Json({"a", "b"}));
  EXPECT_EQ(whole["text_offset"], Json({0, 1}));
  EXPECT_EQ(whole["top_logprobs"][0].size(), 2u);
  const SseAnswer stream = Stream("/v1/completions", body);
  std::vector<int> offsets;
  for (const Json& chunk : stream.chunks) {
    const Json& logprobs = chunk["choices"][0]["logprobs"];
    if (logprobs.is_null()) continue;
    for (const Json& offset : logprobs["text_offset"]) offsets.push_back(offset);
  }
  EXPECT_THAT(offsets, ElementsAre(0, 1));

  const Json best = Json::parse(
      Post("/v1/completions", {{"prompt", "x"}, {"n", 2}, {"best_of", 3}, {"max_tokens", 2}})
          ->body);
  EXPECT_EQ(best["choices"].size(), 2u);
  EXPECT_EQ(best["choices"][0]["logprobs"], nullptr);
  EXPECT_EQ(best["usage"]["completion_tokens"], 6) << "all that was generated";
  EXPECT_EQ(best["usage"]["prompt_tokens"], 1);
  EXPECT_EQ(engine().requests().size(), 5u);
}

TEST_F(GatewayTest, LengthLimitsAreExact) {
  engines_[0] = std::make_unique<FakeEngine>(/*max_batch_size=*/4, /*max_model_len=*/100);
  engine().SetScript({.tokens = Ids(std::string(200, 'x'))});
  Start();
  tokenizer_.SetPrompt(std::vector<int32_t>(100, 65), v1::PROMPT_THINK_STATE_NONE);
  ExpectError(Post("/v1/chat/completions", Chat()), 400, "messages", "context_length_exceeded",
              "100 tokens");
  EXPECT_TRUE(engine().requests().empty());
  // One token less fits, and max_tokens is cut to the room that is left.
  tokenizer_.SetPrompt(std::vector<int32_t>(99, 65), v1::PROMPT_THINK_STATE_NONE);
  Json body = Chat();
  body["max_tokens"] = 61440;
  const auto result = Post("/v1/chat/completions", body);
  ASSERT_EQ(result->status, 200) << result->body;
  EXPECT_EQ(result->get_header_value("X-Max-Tokens-Effective"), "1");
  EXPECT_EQ(result->get_header_value("X-Prompt-Tokens"), "99");
  EXPECT_EQ(Json::parse(result->body)["choices"][0]["finish_reason"], "length");
}

TEST_F(GatewayTest, MaxTokensThatDoNotFitCanBeRejected) {
  engines_[0] = std::make_unique<FakeEngine>(4, 100);
  engine().SetScript({.tokens = Ids("x")});
  Start([](auto& options) {
    options.max_tokens_overflow = gateway::MaxTokensOverflow::kReject;
    options.max_input_len = 50;
  });
  tokenizer_.SetPrompt(std::vector<int32_t>(40, 65), v1::PROMPT_THINK_STATE_NONE);
  Json body = Chat();
  body["max_completion_tokens"] = 61;
  ExpectError(Post("/v1/chat/completions", body), 400, "messages", "context_length_exceeded",
              "maximum context length is 100 tokens; the messages have 40 tokens and max_tokens "
              "asks for 61 more, 101 in all");
  body["max_completion_tokens"] = 60;
  EXPECT_EQ(Post("/v1/chat/completions", body)->status, 200);
  tokenizer_.SetPrompt(std::vector<int32_t>(51, 65), v1::PROMPT_THINK_STATE_NONE);
  ExpectError(Post("/v1/chat/completions", Chat()), 400, "messages", "context_length_exceeded",
              "51 tokens");
}

TEST_F(GatewayTest, ListsModelsAndRefusesUnknownOnes) {
  engine().SetScript({.tokens = Ids("x")});
  Start([](auto& options) { options.served_model_names = {"fake", "org/alias"}; });
  const Json list = Json::parse(Client().Get("/v1/models")->body);
  ASSERT_EQ(list["data"].size(), 2u);
  EXPECT_EQ(list["data"][0]["id"], "fake");
  EXPECT_EQ(list["data"][0]["max_model_len"], 4096);
  EXPECT_EQ(list["data"][0]["owned_by"], "vallm");
  EXPECT_EQ(Json::parse(Client().Get("/v1/models/org/alias")->body)["id"], "org/alias");
  EXPECT_EQ(Json::parse(Client().Get("/v1/models/org%2Falias")->body)["id"], "org/alias");
  ExpectError(Client().Get("/v1/models/other"), 404, "model", "model_not_found", "other");
  ExpectError(Client().Get("/v1/models/" + std::string(7000, 'x')), 404, "model", "model_not_found",
              "xxx");
  Json body = Chat();
  body["model"] = "gpt-4";
  ExpectError(Post("/v1/chat/completions", body), 404, "model", "model_not_found", "gpt-4");
  body["model"] = "org/alias";
  EXPECT_EQ(Json::parse(Post("/v1/chat/completions", body)->body)["model"], "org/alias");
}

TEST_F(GatewayTest, WithoutServedNameTheDirectoryNamesTheModel) {
  Start([](auto& options) { options.served_model_names.clear(); });
  EXPECT_EQ(Json::parse(Client().Get("/v1/models")->body)["data"][0]["id"], "Fake-Model");
}

TEST_F(GatewayTest, TokenizesAndDetokenizes) {
  Start();
  const Json tokens = Json::parse(Post("/tokenize", {{"prompt", "hi"}})->body);
  EXPECT_EQ(tokens["tokens"], Json({104, 105}));
  EXPECT_EQ(tokens["count"], 2);
  EXPECT_EQ(tokens["max_model_len"], 4096);
  const Json strings =
      Json::parse(Post("/tokenize", {{"prompt", "hi"}, {"return_token_strs", true}})->body);
  EXPECT_EQ(strings["token_strs"], Json({"h", "i"}));
  const Json chat = Json::parse(Post("/tokenize", Chat())->body);
  EXPECT_GT(chat["count"], 2);
  EXPECT_EQ(Json::parse(Post("/detokenize", {{"tokens", {104, 105}}})->body)["prompt"], "hi");
  ExpectError(Post("/tokenize", Json::object()), 400, "prompt", "", "required");
}

TEST_F(GatewayTest, AsksForAKeyWhereOneIsSet) {
  engine().SetScript({.tokens = Ids("x")});
  Start([](auto& options) { options.api_keys = {"token-abc123", "other"}; });
  ExpectError(Post("/v1/chat/completions", Chat()), 401, "", "invalid_api_key", "API key");
  for (const char* bad : {"Bearer token-abc124", "Bearer token-abc12", "Bearer token-abc1234",
                          "Bearer x", "Bearer", "Basic other", "token-abc123"}) {
    const auto result = Post("/v1/chat/completions", Chat(), {{"Authorization", bad}});
    EXPECT_EQ(result->status, 401) << bad;
  }
  EXPECT_EQ(
      Post("/v1/chat/completions", Chat(), {{"Authorization", "Bearer token-abc123"}})->status,
      200);
  EXPECT_EQ(Post("/v1/chat/completions", Chat(), {{"Authorization", "bearer other"}})->status, 200);
  EXPECT_EQ(Client().Get("/v1/models")->status, 401);
  for (const char* open : {"/health", "/ping", "/version", "/metrics", "/health/live"}) {
    EXPECT_EQ(Client().Get(open)->status, 200) << open;
  }
}

TEST_F(GatewayTest, AnswersCorsPreflights) {
  Start([](auto& options) { options.allowed_origins = {"https://a.example"}; });
  const httplib::Headers headers = {{"Origin", "https://a.example"},
                                    {"Access-Control-Request-Method", "POST"},
                                    {"Access-Control-Request-Headers", "authorization,x-foo"}};
  const auto result = Client().Options("/v1/chat/completions", headers);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status, 204);
  EXPECT_EQ(result->get_header_value("Access-Control-Allow-Origin"), "https://a.example");
  EXPECT_EQ(result->get_header_value("Access-Control-Allow-Headers"), "authorization,x-foo");
  const auto other = Client().Options("/v1/models", {{"Origin", "https://b.example"}});
  EXPECT_FALSE(other->has_header("Access-Control-Allow-Origin"));
}

TEST_F(GatewayTest, ListsWhatItIgnores) {
  engine().SetScript({.tokens = Ids("x")});
  Start();
  Json body = Chat();
  body.update({{"user", "me"},
               {"store", true},
               {"wild_guess", 1},
               {"presence_penalty", 0.0},
               {"bad\nname", 1}});
  const auto result = Post("/v1/chat/completions", body);
  ASSERT_EQ(result->status, 200);
  EXPECT_EQ(result->get_header_value("X-Ignored-Params"), "user,store,wild_guess,+1 more");
  body[std::string(2000, 'x')] = 1;
  EXPECT_EQ(Post("/v1/chat/completions", body)->get_header_value("X-Ignored-Params"),
            "user,store,wild_guess,+2 more");
  body = Chat();
  body["\xc3\xa4"] = 1;
  EXPECT_EQ(Post("/v1/chat/completions", body)->get_header_value("X-Ignored-Params"), "+1 more");
}

TEST_F(GatewayTest, TemplateErrorsAreTheClients) {
  Start();
  tokenizer_.FailRender({grpc::StatusCode::INVALID_ARGUMENT, "template line 3: no"});
  ExpectError(Post("/v1/chat/completions", Chat()), 400, "messages", "", "template line 3: no");
}

}  // namespace
}  // namespace vallm::testing
