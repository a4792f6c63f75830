// Chat and completion requests: what is read, what is refused and how it is named.

#include <string>

#include "absl/strings/cord.h"
#include "gateway/openai/chat_request.h"
#include "gateway/openai/completion_request.h"
#include "gateway/openai/errors.h"
#include "gmock/gmock.h"
#include "nlohmann/json.hpp"
#include "tests/testing/status_matchers.h"

namespace vallm::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::StatusIs;
using Json = nlohmann::ordered_json;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

Json Minimal() { return Json::parse(R"({"messages":[{"role":"user","content":"hi"}]})"); }

absl::StatusOr<ChatRequest> Parse(const Json& body) { return ParseChatRequest(body.dump(), {}); }

absl::StatusOr<ChatRequest> With(const std::string& name, const std::string& value) {
  Json body = Minimal();
  body[name] = Json::parse(value);
  return Parse(body);
}

TEST(ChatRequest, DefaultsAskForNothing) {
  const auto request = Parse(Minimal());
  ASSERT_OK(request);
  EXPECT_EQ(request->messages_json, R"([{"role":"user","content":"hi"}])");
  EXPECT_EQ(request->tools_json, "");
  EXPECT_EQ(request->template_kwargs_json, "");
  EXPECT_TRUE(request->add_generation_prompt);
  EXPECT_FALSE(request->continue_final_message);
  EXPECT_FALSE(request->params.temperature.has_value());
  EXPECT_FALSE(request->params.max_tokens.has_value());
  EXPECT_TRUE(request->params.skip_special_tokens);
  EXPECT_EQ(request->params.n, 1);
  EXPECT_THAT(request->params.ignored, IsEmpty());
}

TEST(ChatRequest, ZeroAndUnsetDiffer) {
  EXPECT_EQ(With("temperature", "0")->params.temperature, 0.0f);
  EXPECT_EQ(With("temperature", "null")->params.temperature, std::nullopt);
  EXPECT_EQ(With("top_k", "0")->params.top_k, 0);
  EXPECT_EQ(With("top_k", "-1")->params.top_k, 0);  // vLLM's way to say off
  EXPECT_EQ(With("seed", "0")->params.seed, 0);
  EXPECT_EQ(With("seed", "-9223372036854775808")->params.seed, INT64_MIN);
  EXPECT_EQ(With("max_tokens", "5.0")->params.max_tokens, 5);
}

TEST(ChatRequest, MaxCompletionTokensWins) {
  Json body = Minimal();
  body["max_tokens"] = 5;
  body["max_completion_tokens"] = 7;
  EXPECT_EQ(Parse(body)->params.max_tokens, 7);
}

TEST(ChatRequest, StopIsAStringOrAList) {
  EXPECT_THAT(With("stop", R"("a")")->params.stop, ElementsAre("a"));
  EXPECT_THAT(With("stop", R"(["a","b"])")->params.stop, ElementsAre("a", "b"));
  EXPECT_THAT(With("stop", "null")->params.stop, IsEmpty());
}

TEST(ChatRequest, MessagesKeepTheirNumbersAndOrder) {
  Json body = Minimal();
  body["messages"] = Json::parse(
      R"([{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function",)"
      R"("function":{"name":"f","arguments":{"z":1,"a":1.0}}}]},)"
      R"({"role":"tool","content":"x","tool_call_id":"c"}])");
  EXPECT_EQ(Parse(body)->messages_json, body["messages"].dump());
}

TEST(ChatRequest, NamesOfThePastAreTranslated) {
  Json body = Minimal();
  body["messages"] = Json::parse(
      R"([{"role":"developer","content":"d"},{"role":"assistant","content":"a","reasoning":"r"}])");
  EXPECT_EQ(Parse(body)->messages_json,
            R"([{"role":"system","content":"d"},)"
            R"({"role":"assistant","content":"a","reasoning":"r","reasoning_content":"r"}])");
}

TEST(ChatRequest, AFinalMessageCanBeContinued) {
  Json body = Minimal();
  body["continue_final_message"] = true;
  EXPECT_THAT(Parse(body), StatusIs(kInvalid, "role \"assistant\""));
  body["messages"].push_back({{"role", "assistant"}, {"content", "so"}});
  const auto request = Parse(body);
  ASSERT_OK(request);
  EXPECT_TRUE(request->continue_final_message);
  EXPECT_FALSE(request->add_generation_prompt);
  body["add_generation_prompt"] = true;
  EXPECT_THAT(Parse(body), StatusIs(kInvalid, "exclude each other"));
}

TEST(ChatRequest, ToolsNeedAParser) {
  Json body = Minimal();
  body["tools"] = Json::parse(R"([{"type":"function","function":{"name":"f"}}])");
  EXPECT_THAT(ParseChatRequest(body.dump(), {.auto_tool_choice = false}),
              StatusIs(kInvalid, "--enable-auto-tool-choice"));
  body["tool_choice"] = "none";
  EXPECT_OK(ParseChatRequest(body.dump(), {.auto_tool_choice = false}));
}

TEST(ChatRequest, AFormatOfTheAnswerIsAConstraint) {
  using Kind = AnswerConstraint::Kind;
  const auto constraint = [](const char* name, const char* value) {
    const auto request = With(name, value);
    EXPECT_OK(request);
    return request->params.constraint;
  };
  EXPECT_FALSE(constraint("response_format", R"({"type":"text"})").has_value());
  EXPECT_FALSE(constraint("structured_outputs", "{}").has_value());
  EXPECT_EQ(constraint("response_format", R"({"type":"json_object"})")->kind, Kind::kJsonObject);
  const auto schema = constraint(
      "response_format",
      R"({"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":{"b":1,"a":2}}})");
  EXPECT_EQ(schema->kind, Kind::kJsonSchema);
  EXPECT_EQ(schema->text, R"({"b":1,"a":2})");
  EXPECT_EQ(constraint("guided_json", R"("{\"type\":\"null\"}")")->text, R"({"type":"null"})");
  EXPECT_EQ(constraint("guided_regex", R"("a+")")->kind, Kind::kRegex);
  EXPECT_EQ(constraint("guided_choice", R"(["a","b"])")->choices.size(), 2u);
  EXPECT_EQ(constraint("guided_grammar", R"("root ::= \"x\"")")->kind, Kind::kGrammar);
  EXPECT_EQ(constraint("structured_outputs", R"({"regex":"a+"})")->text, "a+");
  EXPECT_EQ(constraint("structured_outputs", R"({"json_object":true})")->kind, Kind::kJsonObject);
  Json body = Minimal();
  body["guided_regex"] = "a";
  body["response_format"] = {{"type", "json_object"}};
  EXPECT_THAT(Parse(body), StatusIs(kInvalid, "exclude each other"));
}

TEST(ChatRequest, AForcedToolCallIsAConstraint) {
  Json body = Minimal();
  body["tools"] = Json::parse(
      R"([{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}])");
  body["tool_choice"] = "required";
  auto request = Parse(body);
  ASSERT_OK(request);
  EXPECT_EQ(request->params.constraint->kind, AnswerConstraint::Kind::kToolCalls);
  EXPECT_EQ(request->params.constraint->tools, request->tools_json);
  EXPECT_FALSE(request->params.constraint->single_call);
  body["parallel_tool_calls"] = false;
  EXPECT_TRUE(Parse(body)->params.constraint->single_call);
  body["tool_choice"] = Json::parse(R"({"type":"function","function":{"name":"g"}})");
  EXPECT_EQ(Parse(body)->params.constraint->tool_name, "g");
  EXPECT_THAT(ParseChatRequest(body.dump(), {.forced_tool_choice = false}),
              StatusIs(kInvalid, "--tool-call-parser hermes"));
  body["response_format"] = {{"type", "json_object"}};
  EXPECT_THAT(Parse(body), StatusIs(kInvalid, "exclude each other"));
  body.erase("response_format");
  body["tool_choice"] = Json::parse(R"({"type":"function","function":{"name":"h"}})");
  EXPECT_THAT(Parse(body), StatusIs(kInvalid, "not among 'tools'"));
}

TEST(ChatRequest, AFormatLeavesRoomForCallsThatMayCome) {
  Json body = Minimal();
  body["tools"] = Json::parse(R"([{"type":"function","function":{"name":"f"}}])");
  body["response_format"] = {{"type", "json_object"}};
  const auto request = Parse(body);
  ASSERT_OK(request);
  EXPECT_EQ(request->params.constraint->kind, AnswerConstraint::Kind::kJsonObject);
  EXPECT_EQ(request->params.constraint->tools, request->tools_json);
  EXPECT_FALSE(request->params.constraint->single_call);
  body["parallel_tool_calls"] = false;
  EXPECT_TRUE(Parse(body)->params.constraint->single_call);
  EXPECT_THAT(ParseChatRequest(body.dump(), {.forced_tool_choice = false}),
              StatusIs(kInvalid, "--tool-call-parser hermes"));
  body["tool_choice"] = "none";
  EXPECT_EQ(Parse(body)->params.constraint->tools, "");
}

// Every row must be refused with 400, its parameter named in the payload.
struct Refusal {
  const char* name;
  const char* value;
  const char* param;  // null: the name
};

class ChatRequestRefuses : public ::testing::TestWithParam<Refusal> {};

TEST_P(ChatRequestRefuses, NamingTheParameter) {
  const Refusal& row = GetParam();
  const auto request = With(row.name, row.value);
  ASSERT_THAT(request, StatusIs(kInvalid, ""));
  const auto param = request.status().GetPayload("vallm/param");
  ASSERT_TRUE(param.has_value()) << request.status();
  EXPECT_EQ(std::string(*param), row.param == nullptr ? row.name : row.param);
  EXPECT_NE(request.status().message().find(std::string(*param)), std::string::npos)
      << request.status();
}

INSTANTIATE_TEST_SUITE_P(
    Rows, ChatRequestRefuses,
    ::testing::Values(
        Refusal{"model", "5", nullptr}, Refusal{"temperature", "-0.1", nullptr},
        Refusal{"temperature", "2.1", nullptr}, Refusal{"temperature", "\"1\"", nullptr},
        Refusal{"temperature", "true", nullptr}, Refusal{"top_p", "0", nullptr},
        Refusal{"top_p", "1.01", nullptr}, Refusal{"top_k", "-2", nullptr},
        Refusal{"top_k", "1.5", nullptr}, Refusal{"top_k", "3000000000", nullptr},
        Refusal{"seed", "1e300", nullptr}, Refusal{"seed", "9223372036854775808", nullptr},
        Refusal{"max_tokens", "0", nullptr}, Refusal{"max_tokens", "-1", nullptr},
        Refusal{"max_tokens", "\"5\"", nullptr}, Refusal{"max_completion_tokens", "0", nullptr},
        Refusal{"n", "0", nullptr}, Refusal{"n", "129", nullptr}, Refusal{"stop", "5", nullptr},
        Refusal{"stop", "[\"\"]", nullptr}, Refusal{"stop", "[\"a\",5]", "stop[1]"},
        Refusal{"stop_token_ids", "[-1]", "stop_token_ids[0]"},
        Refusal{"stop_token_ids", "5", nullptr}, Refusal{"ignore_eos", "1", nullptr},
        Refusal{"stream", "\"yes\"", nullptr}, Refusal{"stream_options", "true", nullptr},
        Refusal{"stream_options", "{\"include_usage\":1}", "stream_options.include_usage"},
        Refusal{"tools", "{}", nullptr}, Refusal{"tools", "[1]", "tools[0]"},
        Refusal{"tools", "[{\"type\":\"web\"}]", "tools[0].type"},
        Refusal{"tools", "[{\"type\":\"function\"}]", "tools[0].function"},
        Refusal{"tools", "[{\"function\":{\"name\":\"\"}}]", "tools[0].function.name"},
        Refusal{"tools", "[{\"function\":{\"name\":\"f\",\"parameters\":[]}}]",
                "tools[0].function.parameters"},
        Refusal{"tool_choice", "\"required\"", nullptr}, Refusal{"tool_choice", "\"x\"", nullptr},
        Refusal{"tool_choice", "{\"type\":\"function\"}", "tool_choice.function.name"},
        Refusal{"tool_choice", "5", nullptr}, Refusal{"parallel_tool_calls", "0", nullptr},
        Refusal{"tool_choice", "{\"type\":\"function\",\"function\":{}}",
                "tool_choice.function.name"},
        Refusal{"response_format", "5", nullptr},
        Refusal{"response_format", "{\"type\":\"xml\"}", "response_format.type"},
        Refusal{"response_format", "{\"type\":\"json_schema\"}", "response_format.json_schema"},
        Refusal{"guided_json", "5", nullptr}, Refusal{"guided_regex", "[]", nullptr},
        Refusal{"guided_choice", "[1]", "guided_choice[0]"},
        Refusal{"guided_grammar", "{}", nullptr}, Refusal{"structured_outputs", "[]", nullptr},
        Refusal{"structured_outputs", "{\"structural_tag\":{}}",
                "structured_outputs.structural_tag"},
        Refusal{"chat_template_kwargs", "[]", nullptr},
        Refusal{"enable_thinking", "\"no\"", nullptr},
        Refusal{"reasoning_effort", "\"huge\"", nullptr}, Refusal{"thinking", "true", nullptr},
        Refusal{"thinking", "{\"type\":\"maybe\"}", "thinking.type"},
        Refusal{"thinking", "{\"type\":\"enabled\",\"budget_tokens\":-5}",
                "thinking.budget_tokens"},
        // Known, but not implemented with such a value.
        Refusal{"logprob_token_ids", "[1]", nullptr}, Refusal{"prompt_logprobs", "21", nullptr},
        Refusal{"repetition_detection", "{}", nullptr}, Refusal{"stream_interval", "2", nullptr},
        // Known, and out of range.
        Refusal{"presence_penalty", "2.5", nullptr}, Refusal{"frequency_penalty", "-3", nullptr},
        Refusal{"frequency_penalty", "\"1\"", nullptr}, Refusal{"repetition_penalty", "0", nullptr},
        Refusal{"repetition_penalty", "-1", nullptr}, Refusal{"min_p", "1.1", nullptr},
        Refusal{"min_tokens", "-1", nullptr}, Refusal{"min_tokens", "1.5", nullptr},
        Refusal{"logit_bias", "[1]", nullptr}, Refusal{"logit_bias", "{\"x\":1}", nullptr},
        Refusal{"logit_bias", "{\"-5\":1}", nullptr},
        Refusal{"logit_bias", "{\"5\":101}", "logit_bias.5"},
        Refusal{"logit_bias", "{\"5\":\"a\"}", "logit_bias.5"},
        Refusal{"bad_words", "[\"a\",\" \"]", nullptr}, Refusal{"bad_words", "[5]", "bad_words[0]"},
        Refusal{"allowed_token_ids", "[]", nullptr},
        Refusal{"allowed_token_ids", "[-1]", "allowed_token_ids[0]"},
        Refusal{"logprobs", "1", nullptr}, Refusal{"top_logprobs", "2", nullptr},
        Refusal{"top_logprobs", "21", nullptr}, Refusal{"top_logprobs", "-1", nullptr},
        Refusal{"echo", "true", nullptr}, Refusal{"best_of", "2", nullptr},
        Refusal{"chat_template", "\"x\"", nullptr}, Refusal{"cache_salt", "\"\"", nullptr},
        Refusal{"cache_salt", "5", nullptr}, Refusal{"priority", "1.5", nullptr},
        Refusal{"priority", "2147483648", nullptr}, Refusal{"priority", "\"1\"", nullptr},
        Refusal{"thinking_token_budget", "-1", nullptr},
        Refusal{"thinking_budget", "1.5", nullptr}));

TEST(ChatRequest, ThinkingIsOneSetting) {
  const struct {
    const char* members;
    std::optional<bool> enabled;
    std::optional<int32_t> budget;
  } cases[] = {
      {R"({})", std::nullopt, std::nullopt},
      {R"({"thinking_token_budget": 7})", std::nullopt, 7},
      {R"({"thinking_budget": 0})", false, 0},
      {R"({"thinking_budget": 0, "enable_thinking": true})", true, 0},
      {R"({"thinking": {"type": "enabled", "budget_tokens": 9}, "thinking_budget": 9})", true, 9},
      {R"({"thinking": {"type": "disabled"}, "reasoning_effort": "high"})", false, std::nullopt},
      {R"({"enable_thinking": true, "thinking": {"type": "disabled"}})", true, std::nullopt},
      {R"({"chat_template_kwargs": {"enable_thinking": false}, "enable_thinking": true})", false,
       std::nullopt},
      {R"({"reasoning_effort": "minimal"})", false, std::nullopt},
  };
  for (const auto& [members, enabled, budget] : cases) {
    Json body = Minimal();
    body.update(Json::parse(members));
    const auto request = ParseChatRequest(body.dump(), {});
    ASSERT_TRUE(request.ok()) << request.status();
    EXPECT_EQ(request->params.thinking.enabled, enabled) << members;
    EXPECT_EQ(request->params.thinking.token_budget, budget) << members;
    const Json kwargs = request->template_kwargs_json.empty()
                            ? Json::object()
                            : Json::parse(request->template_kwargs_json);
    const Json expected = enabled.has_value() ? Json(*enabled) : Json(nullptr);
    EXPECT_EQ(kwargs.contains("enable_thinking") ? kwargs["enable_thinking"] : Json(nullptr),
              expected)
        << members;
  }
}

TEST(ChatRequest, BudgetsOfThoughtMustAgree) {
  Json body = Minimal();
  body.update(Json::parse(R"({"thinking_token_budget": 7, "thinking_budget": 8})"));
  const absl::Status status = ParseChatRequest(body.dump(), {}).status();
  EXPECT_EQ(Json::parse(ErrorBody(status))["error"]["param"], "thinking_budget");
}

TEST(ChatRequest, ReadsHowTokensAreDrawn) {
  Json body = Minimal();
  body.update(Json::parse(R"({"presence_penalty":0.5,"frequency_penalty":-2,
      "repetition_penalty":1.25,"min_p":0.125,"min_tokens":7,"logit_bias":{"5":-100,"900":2.5},
      "bad_words":["a"," b c"],"allowed_token_ids":[9,3],"logprobs":true,"top_logprobs":5})"));
  const auto request = Parse(body);
  ASSERT_OK(request);
  const GenerationParams& params = request->params;
  EXPECT_EQ(params.presence_penalty, 0.5f);
  EXPECT_EQ(params.frequency_penalty, -2);
  EXPECT_EQ(params.repetition_penalty, 1.25f);
  EXPECT_EQ(params.min_p, 0.125f);
  EXPECT_EQ(params.min_tokens, 7);
  EXPECT_THAT(params.logit_bias, ElementsAre(std::pair(5, -100.0f), std::pair(900, 2.5f)));
  EXPECT_THAT(params.bad_words, ElementsAre("a", " b c"));
  EXPECT_EQ(params.allowed_token_ids, (std::vector<int32_t>{9, 3}));
  EXPECT_EQ(params.top_logprobs, 5);
  EXPECT_THAT(params.ignored, IsEmpty());
  EXPECT_EQ(params.priority, 0);
  EXPECT_EQ(With("priority", "-2147483648")->params.priority, std::numeric_limits<int32_t>::min());
  EXPECT_EQ(With("logprobs", "true")->params.top_logprobs, 0);
  EXPECT_EQ(With("logprobs", "false")->params.top_logprobs, std::nullopt);
  EXPECT_EQ(With("bad_words", "\"a\"")->params.bad_words.size(), 1u);
}

TEST(ChatRequest, OnlyAllowedToolsAreShown) {
  Json body = Minimal();
  body["tools"] = Json::parse(
      R"([{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}])");
  body["tool_choice"] = Json::parse(R"({"type":"allowed_tools","allowed_tools":
      {"mode":"required","tools":[{"type":"function","name":"g"}]}})");
  const auto request = Parse(body);
  ASSERT_OK(request);
  EXPECT_EQ(request->tools_json, R"([{"type":"function","function":{"name":"g"}}])");
  EXPECT_EQ(request->params.constraint->tools, request->tools_json);
  body["tool_choice"]["allowed_tools"]["mode"] = "auto";
  EXPECT_FALSE(Parse(body)->params.constraint.has_value());
  body.erase("tools");
  EXPECT_THAT(Parse(body), StatusIs(kInvalid, "not among 'tools'"));
}

TEST(ChatRequest, AWordOfTheLastMessageSwitchesThinking) {
  const auto enabled = [](const char* messages) {
    const auto request = With("messages", messages);
    EXPECT_OK(request);
    return request->params.thinking.enabled;
  };
  EXPECT_EQ(enabled(R"([{"role":"user","content":"why? /no_think"}])"), false);
  EXPECT_EQ(enabled(R"([{"role":"user","content":"/no_think\n\nwhy?"}])"), false);
  EXPECT_EQ(enabled(R"([{"role":"user","content":"/no_think"}])"), false);
  EXPECT_EQ(enabled(R"([{"role":"user","content":"why? /think\n"}])"), true);
  EXPECT_EQ(enabled(R"([{"role":"user","content":"/think why? /no_think"}])"), false);
  EXPECT_EQ(enabled(R"([{"role":"user","content":""}])"), std::nullopt);
  EXPECT_EQ(enabled(R"([{"role":"user","content":"/no_thinking"}])"), std::nullopt);
  EXPECT_EQ(enabled(R"([{"role":"user","content":"what is /no_think ?"}])"), std::nullopt);
  EXPECT_EQ(enabled(R"([{"role":"assistant","content":"/no_think"}])"), std::nullopt);
  // The last one of the user's, not the last of all.
  EXPECT_EQ(enabled(R"([{"role":"user","content":"a /no_think"},{"role":"assistant","content":"b"},
                        {"role":"tool","content":"c"}])"),
            false);
  EXPECT_EQ(enabled(R"([{"role":"user","content":"a /no_think"},{"role":"user","content":"b"}])"),
            std::nullopt);
  EXPECT_EQ(enabled(R"([{"role":"user","content":[{"type":"text","text":"a "},
                        {"type":"text","text":"/no_think"}]}])"),
            false);
}

TEST(ChatRequest, TheLimitOfLogprobsIsTheServers) {
  Json body = Minimal();
  body["logprobs"] = true;
  body["top_logprobs"] = 5;
  EXPECT_OK(ParseChatRequest(body.dump(), {.max_logprobs = 5}));
  EXPECT_THAT(ParseChatRequest(body.dump(), {.max_logprobs = 4}),
              StatusIs(kInvalid, "'top_logprobs' is 5; it must be between 0 and 4"));
}

TEST(CompletionRequest, LogprobsAreANumberAndBestOfIsAtLeastN) {
  const auto with = [](const char* rest) {
    return ParseCompletionRequest(std::string(R"({"prompt":"a",)") + rest + "}");
  };
  EXPECT_EQ(with(R"("logprobs":3)")->params.top_logprobs, 3);
  EXPECT_EQ(with(R"("logprobs":0)")->params.top_logprobs, 0);
  EXPECT_EQ(with(R"("logprobs":null)")->params.top_logprobs, std::nullopt);
  EXPECT_THAT(with(R"("logprobs":true)"), StatusIs(kInvalid, "'logprobs' must be an integer"));
  EXPECT_THAT(with(R"("logprobs":21)"), StatusIs(kInvalid, "between 0 and 20"));
  EXPECT_EQ(with(R"("n":2,"best_of":5)")->params.best_of, 5);
  EXPECT_EQ(with(R"("n":2)")->params.best_of, 2);
  EXPECT_THAT(with(R"("n":3,"best_of":2)"),
              StatusIs(kInvalid, "'best_of' is 2; it must be at least 'n', 3"));
  EXPECT_THAT(with(R"("best_of":2,"stream":true)"), StatusIs(kInvalid, "cannot be streamed"));
  EXPECT_OK(with(R"("n":2,"best_of":2,"stream":true)"));
  EXPECT_THAT(with(R"("best_of":129)"), StatusIs(kInvalid, "'best_of' is 129"));
  EXPECT_TRUE(with(R"("echo":true)")->echo);
  EXPECT_THAT(with(R"("echo":true,"stream":true)"),
              StatusIs(kInvalid, "'echo' cannot be streamed"));
  EXPECT_EQ(with(R"("prompt_logprobs":2)")->params.prompt_logprobs, 2);
  EXPECT_THAT(with(R"("prompt_logprobs":2,"stream":true)"),
              StatusIs(kInvalid, "cannot be streamed"));
}

TEST(ChatRequest, NeutralValuesOfWhatIsNotImplementedPass) {
  Json body = Minimal();
  body.update(Json::parse(R"({"presence_penalty":0,"frequency_penalty":0.0,"logit_bias":{},
      "repetition_penalty":1.0,"min_p":0,"response_format":{"type":"text"},"logprobs":false,
      "top_logprobs":0,"best_of":1,"guided_json":null,"functions":[],"min_tokens":0})"));
  const auto request = Parse(body);
  ASSERT_OK(request);
  EXPECT_THAT(request->params.ignored, IsEmpty());
}

TEST(ChatRequest, WhatHasNoEffectIsListed) {
  Json body = Minimal();
  body.update(Json::parse(R"({"user":"u","metadata":{},"service_tier":"auto","zzz":1,
      "stream_options":{"include_usage":true,"x":1}})"));
  EXPECT_THAT(Parse(body)->params.ignored,
              ElementsAre("stream_options.x", "user", "metadata", "service_tier", "zzz"));
}

TEST(CompletionRequest, PromptsComeInFourShapes) {
  const auto parse = [](const char* prompt) {
    return ParseCompletionRequest(std::string(R"({"prompt":)") + prompt + "}");
  };
  EXPECT_THAT(parse(R"("a")")->prompts, ElementsAre(PromptInput("a")));
  EXPECT_THAT(parse("[1,2]")->prompts, ElementsAre(PromptInput(std::vector<int32_t>{1, 2})));
  EXPECT_THAT(parse(R"(["a","b"])")->prompts, ElementsAre(PromptInput("a"), PromptInput("b")));
  EXPECT_THAT(parse("[[1],[2,3]]")->prompts, ElementsAre(PromptInput(std::vector<int32_t>{1}),
                                                         PromptInput(std::vector<int32_t>{2, 3})));
  EXPECT_EQ(parse(R"("a")")->params.max_tokens, 16);
  EXPECT_THAT(parse("5"), StatusIs(kInvalid, "'prompt' must be"));
  EXPECT_THAT(parse("[]"), StatusIs(kInvalid, "'prompt' is empty"));
  EXPECT_THAT(parse("null"), StatusIs(kInvalid, "'prompt' is missing"));
  EXPECT_THAT(parse("[[1],[]]"), StatusIs(kInvalid, "prompt[1]"));
  EXPECT_THAT(parse("[[1],[-2]]"), StatusIs(kInvalid, "prompt[1][0]"));
  EXPECT_THAT(parse("[1,\"a\"]"), StatusIs(kInvalid, "prompt[1]"));
}

TEST(CompletionRequest, BoundsTheNumberOfAnswers) {
  Json body = {{"prompt", std::vector<std::string>(65, "x")}, {"n", 2}};
  EXPECT_THAT(ParseCompletionRequest(body.dump()), StatusIs(kInvalid, "make 130 answers"));
}

}  // namespace
}  // namespace vallm::gateway
