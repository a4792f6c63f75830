#include "gateway/responses/responses_request.h"

#include <string>

#include "gateway/openai/errors.h"
#include "gmock/gmock.h"
#include "nlohmann/json.hpp"
#include "tests/testing/status_matchers.h"

namespace vallm::gateway {
namespace {

using Json = nlohmann::ordered_json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kOwner[] = "me";

class ResponsesRequestTest : public ::testing::Test {
 protected:
  // A body with these members beside the usual ones; null takes a member away.
  absl::StatusOr<ResponsesRequest> Parse(const char* members) {
    Json body = {{"model", "m"}, {"input", "Hi"}};
    body.merge_patch(Json::parse(members));
    return ParseResponsesRequest(body.dump(), {}, store_, kOwner);
  }

  ResponsesRequest MustParse(const char* members) {
    auto request = Parse(members);
    EXPECT_TRUE(request.ok()) << request.status();
    return request.ok() ? *std::move(request) : ResponsesRequest();
  }

  Json MessagesOf(const char* members) {
    return Json::parse(MustParse(members).chat.messages_json);
  }

  static Json SettingsOf(const ResponsesRequest& request) {
    return Json::parse("{" + request.settings + "}");
  }

  // Expects a 400 that names `param`, says `text` and has that code.
  void ExpectRefused(const char* members, const std::string& param, const std::string& text = "",
                     const std::string& code = "") {
    const absl::Status status = Parse(members).status();
    EXPECT_EQ(HttpStatusOf(status), 400) << members;
    const Json error = Json::parse(ErrorBody(status))["error"];
    EXPECT_EQ(error["param"], Json(param)) << members << error;
    EXPECT_THAT(error["message"].get<std::string>(), HasSubstr(text)) << members;
    EXPECT_EQ(error["code"], code.empty() ? Json(nullptr) : Json(code)) << members;
  }

  ResponseStore store_{10, 1 << 20};
};

TEST_F(ResponsesRequestTest, Plain) {
  const ResponsesRequest request = MustParse(
      R"({"temperature": 0.5, "top_p": 0.9, "top_k": 4, "seed": 3, "max_output_tokens": 10,
          "stream": true, "user": "u", "stream_options": {"include_obfuscation": true}})");
  const GenerationParams& params = request.chat.params;
  EXPECT_EQ(request.chat.messages_json, R"([{"role":"user","content":"Hi"}])");
  EXPECT_EQ(params.model, "m");
  EXPECT_EQ(params.temperature, 0.5f);
  EXPECT_EQ(params.top_k, 4);
  EXPECT_EQ(params.seed, 3);
  EXPECT_EQ(params.max_tokens, 10);
  EXPECT_TRUE(params.stream);
  EXPECT_THAT(params.ignored, ElementsAre("stream_options.include_obfuscation", "user"));
  EXPECT_TRUE(request.store);
  ASSERT_EQ(request.input.size(), 1u);
  Json item = Json::parse(request.input[0].json);
  EXPECT_EQ(item["id"], request.input[0].id);
  EXPECT_EQ(item["type"], "message");
  EXPECT_EQ(item["content"], Json::parse(R"([{"type": "input_text", "text": "Hi"}])"));
}

TEST_F(ResponsesRequestTest, SettingsAreRepeatedWithTheirDefaults) {
  const Json plain = SettingsOf(MustParse("{}"));
  EXPECT_EQ(plain["tools"], Json::array());
  EXPECT_EQ(plain["tool_choice"], "auto");
  EXPECT_EQ(plain["parallel_tool_calls"], true);
  EXPECT_EQ(plain["text"], Json::parse(R"({"format": {"type": "text"}})"));
  EXPECT_EQ(plain["store"], true);
  EXPECT_EQ(plain["temperature"], nullptr);
  EXPECT_EQ(plain["metadata"], Json::object());
  const Json full = SettingsOf(MustParse(
      R"({"tools": [{"type": "function", "name": "f", "strict": true}], "tool_choice": "none",
          "parallel_tool_calls": false, "store": false, "temperature": 1, "metadata": {"a": "b"},
          "instructions": "Be brief.", "reasoning": {"effort": "low"}, "max_output_tokens": 5})"));
  EXPECT_EQ(full["tools"], Json::parse(R"([{"type": "function", "name": "f", "strict": true}])"));
  EXPECT_EQ(full["tool_choice"], "none");
  EXPECT_EQ(full["parallel_tool_calls"], false);
  EXPECT_EQ(full["store"], false);
  EXPECT_EQ(full["temperature"], 1);
  EXPECT_EQ(full["metadata"], Json::parse(R"({"a": "b"})"));
  EXPECT_EQ(full["instructions"], "Be brief.");
  EXPECT_EQ(full["reasoning"], Json::parse(R"({"effort": "low", "summary": null})"));
  EXPECT_EQ(full["max_output_tokens"], 5);
}

TEST_F(ResponsesRequestTest, ItemsBecomeAChat) {
  EXPECT_EQ(MessagesOf(R"({"instructions": "Be brief.", "input": [
      {"role": "developer", "content": "D"},
      {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"},
                                                      {"type": "input_text", "text": "b"}]},
      {"type": "reasoning", "summary": [{"type": "summary_text", "text": "not this"}],
       "content": [{"type": "reasoning_text", "text": "hm"}]},
      {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "c"}]},
      {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{\"x\": 1.0}"},
      {"type": "function_call", "call_id": "2", "name": "g", "arguments": "{broken"},
      {"type": "function_call_output", "call_id": "1", "output": "one"},
      {"type": "function_call_output", "call_id": "2",
       "output": [{"type": "input_text", "text": "two"}]},
      {"type": "reasoning", "summary": [{"type": "summary_text", "text": "so"}]},
      {"role": "assistant", "content": "done"},
      {"role": "assistant", "content": "really"}]})"),
            Json::parse(R"([
      {"role": "system", "content": "Be brief."},
      {"role": "system", "content": "D"},
      {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
      {"role": "assistant", "reasoning_content": "hm", "content": "c", "tool_calls": [
        {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 1.0}"}},
        {"id": "2", "type": "function", "function": {"name": "g", "arguments": "{broken"}}]},
      {"role": "tool", "tool_call_id": "1", "content": "one"},
      {"role": "tool", "tool_call_id": "2", "content": "two"},
      {"role": "assistant", "reasoning_content": "so", "content": "done"},
      {"role": "assistant", "content": "really"}])"));
}

TEST_F(ResponsesRequestTest, AReasonedCallAfterAnotherIsAMessageOfItsOwn) {
  const Json messages = MessagesOf(R"({"input": [
      {"role": "user", "content": "a"},
      {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
      {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "t"}]},
      {"type": "function_call", "call_id": "2", "name": "f", "arguments": "{}"}]})");
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(messages[1]["content"], "");
  EXPECT_EQ(messages[1]["tool_calls"].size(), 1u);
  EXPECT_EQ(messages[2]["reasoning_content"], "t");
}

TEST_F(ResponsesRequestTest, Tools) {
  const char* kTools = R"("tools": [
      {"type": "function", "name": "f", "description": "d", "strict": true,
       "parameters": {"type": "object", "properties": {}}},
      {"type": "function", "name": "g", "parameters": null}])";
  const auto with = [&](const std::string& rest) {
    return std::string("{") + kTools + (rest.empty() ? "" : ", ") + rest + "}";
  };
  EXPECT_EQ(Json::parse(MustParse(with("").c_str()).chat.tools_json), Json::parse(R"([
      {"type": "function", "function": {"name": "f", "description": "d",
                                        "parameters": {"type": "object", "properties": {}}}},
      {"type": "function", "function": {"name": "g"}}])"));
  const ResponsesRequest named =
      MustParse(with(R"("tool_choice": {"type": "function", "name": "g"})").c_str());
  EXPECT_EQ(named.chat.params.constraint->tool_name, "g");
  const ResponsesRequest allowed =
      MustParse(with(R"("parallel_tool_calls": false, "tool_choice": {"type": "allowed_tools",
               "mode": "required", "tools": [{"type": "function", "name": "g"}]})")
                    .c_str());
  EXPECT_EQ(allowed.chat.tools_json, R"([{"type":"function","function":{"name":"g"}}])");
  EXPECT_EQ(allowed.chat.params.constraint->kind, AnswerConstraint::Kind::kToolCalls);
  EXPECT_TRUE(allowed.chat.params.constraint->single_call);
  EXPECT_FALSE(allowed.chat.parallel_tool_calls);
}

TEST_F(ResponsesRequestTest, Formats) {
  const ResponsesRequest request = MustParse(R"({"text": {"verbosity": "low", "format": {
      "type": "json_schema", "name": "n", "strict": true, "schema": {"type": "integer"}}}})");
  EXPECT_EQ(request.chat.params.constraint->text, R"({"type":"integer"})");
  EXPECT_EQ(request.chat.params.constraint->param, "text.format.schema");
  EXPECT_THAT(request.chat.params.ignored, ElementsAre("text.verbosity"));
  EXPECT_EQ(
      MustParse(R"({"text": {"format": {"type": "json_object"}}})").chat.params.constraint->kind,
      AnswerConstraint::Kind::kJsonObject);
  EXPECT_FALSE(
      MustParse(R"({"text": {"format": {"type": "text"}}})").chat.params.constraint.has_value());
}

TEST_F(ResponsesRequestTest, Reasoning) {
  const ResponsesRequest off = MustParse(R"({"reasoning": {"effort": "none"}})");
  EXPECT_EQ(off.chat.params.thinking.enabled, false);
  EXPECT_FALSE(off.thought_as_summary);
  const ResponsesRequest on =
      MustParse(R"({"reasoning": {"effort": "high", "summary": "auto", "context": "x"}})");
  EXPECT_EQ(on.chat.params.thinking.enabled, true);
  EXPECT_TRUE(on.thought_as_summary);
  EXPECT_THAT(on.chat.params.ignored, ElementsAre("reasoning.context"));
}

TEST_F(ResponsesRequestTest, Logprobs) {
  EXPECT_FALSE(MustParse("{}").chat.params.top_logprobs.has_value());
  EXPECT_EQ(MustParse(R"({"include": ["message.output_text.logprobs"]})").chat.params.top_logprobs,
            0);
  EXPECT_EQ(MustParse(R"({"top_logprobs": 3})").chat.params.top_logprobs, 3);
  const ResponsesRequest request = MustParse(R"({"include": ["reasoning.encrypted_content"]})");
  EXPECT_FALSE(request.chat.params.top_logprobs.has_value());
  EXPECT_THAT(request.chat.params.ignored, ElementsAre("include.reasoning.encrypted_content"));
}

class WithAStoredResponse : public ResponsesRequestTest {
 protected:
  void SetUp() override {
    ResponsesRequest first = MustParse(R"({"input": "One?", "instructions": "Be brief."})");
    store_.Put(kOwner, {.id = "resp_1",
                        .body = "{}",
                        .input = std::move(first.input),
                        .output = {{.id = "msg_1", .json = R"({"id":"msg_1","type":"message","role":
                    "assistant","content":[{"type":"output_text","text":"1"}]})"}}});
  }
};

TEST_F(WithAStoredResponse, AConversationGoesOn) {
  const ResponsesRequest request =
      MustParse(R"({"previous_response_id": "resp_1", "input": "Two?"})");
  EXPECT_EQ(Json::parse(request.chat.messages_json), Json::parse(R"([
      {"role": "user", "content": "One?"}, {"role": "assistant", "content": "1"},
      {"role": "user", "content": "Two?"}])"))
      << "instructions are of their request only";
  EXPECT_EQ(request.input.size(), 3u);
  EXPECT_EQ(SettingsOf(request)["previous_response_id"], "resp_1");
}

TEST_F(WithAStoredResponse, ItemsMayBeNamed) {
  for (const char* reference :
       {R"({"type": "item_reference", "id": "msg_1"})", R"({"id": "msg_1"})"}) {
    const std::string body =
        std::string(R"({"input": [{"role": "user", "content": "One?"}, )") + reference + "]}";
    EXPECT_EQ(MessagesOf(body.c_str())[1], Json::parse(R"({"role":"assistant","content":"1"})"));
  }
  ExpectRefused(R"({"input": [{"type": "item_reference", "id": "msg_2"}]})", "input[0].id", "msg_2",
                "item_not_found");
}

TEST_F(WithAStoredResponse, OthersCannotGoOnFromIt) {
  const auto request = ParseResponsesRequest(
      R"({"input": "Two?", "previous_response_id": "resp_1"})", {}, store_, "somebody else");
  EXPECT_FALSE(request.ok());
}

TEST_F(ResponsesRequestTest, UnknownPreviousResponses) {
  ExpectRefused(R"({"previous_response_id": "resp_9"})", "previous_response_id", "resp_9",
                "previous_response_not_found");
  ResponseStore none(0, 0);
  const auto request =
      ParseResponsesRequest(R"({"input": "a", "previous_response_id": "r"})", {}, none, kOwner);
  EXPECT_THAT(request.status().message(), HasSubstr("stores no responses"));
  EXPECT_FALSE(ParseResponsesRequest(R"({"input": "a"})", {}, none, kOwner)->store);
}

TEST_F(ResponsesRequestTest, RefusesWhatIsNotHere) {
  const char* code = "unsupported_parameter";
  ExpectRefused(R"({"background": true})", "background", "", code);
  ExpectRefused(R"({"truncation": "auto"})", "truncation", "", code);
  ExpectRefused(R"({"conversation": "conv_1"})", "conversation", "", code);
  ExpectRefused(R"({"prompt": {"id": "p"}})", "prompt", "", code);
  ExpectRefused(R"({"messages": []})", "messages", "/v1/chat/completions", code);
  ExpectRefused(R"({"n": 2})", "n", "", code);
  ExpectRefused(R"({"response_format": {"type": "text"}})", "response_format", "", code);
  ExpectRefused(R"({"tools": [{"type": "web_search"}]})", "tools[0].type", "web_search", code);
  ExpectRefused(R"({"tool_choice": {"type": "file_search"}})", "tool_choice.type", "", code);
  ExpectRefused(R"({"input": [{"role": "user", "content": [{"type": "input_image",
                    "image_url": "http://x"}]}]})",
                "input[0].content[0].type", "input_image", code);
  ExpectRefused(R"({"input": [{"type": "computer_call"}]})", "input[0].type", "computer_call",
                code);
  ExpectRefused(R"({"text": {"format": {"type": "grammar"}}})", "text.format.type", "", code);
}

TEST_F(ResponsesRequestTest, WrongFieldsAreNamed) {
  ExpectRefused(R"({"input": null})", "input", "missing");
  ExpectRefused(R"({"input": 3})", "input", "an integer");
  ExpectRefused(R"({"input": []})", "input", "empty");
  ExpectRefused(R"({"input": ["x"]})", "input[0]");
  ExpectRefused(R"({"input": [{"role": "tool", "content": ""}]})", "input[0].role");
  ExpectRefused(R"({"input": [{"role": "user"}]})", "input[0].content", "missing");
  ExpectRefused(R"({"input": [{"role": "user", "content": 1}]})", "input[0].content");
  ExpectRefused(R"({"input": [{"role": "user", "content": [{"type": "input_text"}]}]})",
                "input[0].content[0].text", "missing");
  ExpectRefused(R"({"input": [{"type": "function_call", "call_id": "1", "name": "f"}]})",
                "input[0].arguments", "missing");
  ExpectRefused(R"({"input": [{"type": "function_call_output", "call_id": "1", "output": 1}]})",
                "input[0].output");
  ExpectRefused(R"({"input": [{"type": "reasoning", "content": [{"text": 1}]}]})",
                "input[0].content[0].text");
  ExpectRefused(R"({"instructions": []})", "instructions");
  ExpectRefused(R"({"max_output_tokens": 0})", "max_output_tokens");
  ExpectRefused(R"({"temperature": 3})", "temperature");
  ExpectRefused(R"({"top_logprobs": 21})", "top_logprobs");
  ExpectRefused(R"({"include": ["everything"]})", "include", "everything");
  ExpectRefused(R"({"reasoning": "high"})", "reasoning");
  ExpectRefused(R"({"reasoning": {"effort": "huge"}})", "reasoning.effort", "'reasoning.effort'");
  ExpectRefused(R"({"reasoning": {"summary": "x"}})", "reasoning.summary");
  ExpectRefused(R"({"text": {"format": "json"}})", "text.format");
  ExpectRefused(R"({"text": {"format": {"type": "json_schema"}}})", "text.format.schema",
                "'text.format.schema'");
  ExpectRefused(R"({"tools": {}})", "tools");
  ExpectRefused(R"({"tools": [{"type": "function"}]})", "tools[0].name", "missing");
  ExpectRefused(R"({"tools": [{"name": "f"}]})", "tools[0].type", "missing");
  ExpectRefused(R"({"tool_choice": "sometimes"})", "tool_choice", "sometimes");
  ExpectRefused(R"({"tool_choice": {"type": "allowed_tools"}})", "tool_choice.tools", "missing");
  ExpectRefused(R"({"metadata": {"a": 1}})", "metadata.a");
  ExpectRefused(R"({"store": "yes"})", "store");
  ExpectRefused(R"({"previous_response_id": 1})", "previous_response_id");
}

}  // namespace
}  // namespace vallm::gateway
