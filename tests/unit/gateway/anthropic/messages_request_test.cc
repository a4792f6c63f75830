#include "gateway/anthropic/messages_request.h"

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

// A body with these members beside the usual ones; null takes a member away.
std::string Body(const char* members) {
  Json body = {{"model", "m"},
               {"max_tokens", 10},
               {"messages", Json::parse(R"([{"role": "user", "content": "Hi"}])")}};
  body.merge_patch(Json::parse(members));
  return body.dump();
}

ChatRequest MustParse(const char* members) {
  auto request = ParseMessagesRequest(Body(members), {});
  EXPECT_TRUE(request.ok()) << request.status();
  return request.ok() ? *request : ChatRequest();
}

Json MessagesOf(const char* members) { return Json::parse(MustParse(members).messages_json); }

TEST(MessagesRequest, Plain) {
  const ChatRequest request = MustParse(
      R"({"temperature": 0.5, "top_k": 4, "stop_sequences": ["a", "b"], "stream": true,
          "metadata": {"user_id": "x"}, "seed": 3})");
  EXPECT_EQ(request.messages_json, R"([{"role":"user","content":"Hi"}])");
  EXPECT_EQ(request.params.max_tokens, 10);
  EXPECT_EQ(request.params.temperature, 0.5f);
  EXPECT_EQ(request.params.top_k, 4);
  EXPECT_EQ(request.params.seed, 3);
  EXPECT_TRUE(request.params.stream);
  EXPECT_THAT(request.params.stop, ElementsAre("a", "b"));
  EXPECT_THAT(request.params.ignored, ElementsAre("metadata"));
  EXPECT_FALSE(request.continue_final_message);
}

TEST(MessagesRequest, SystemComesFirst) {
  EXPECT_EQ(MessagesOf(R"({"system": "Be brief."})")[0],
            Json::parse(R"({"role": "system", "content": "Be brief."})"));
  EXPECT_EQ(MessagesOf(R"({"system": [{"type": "text", "text": "A"},
                                      {"type": "text", "text": "B", "cache_control": {}}]})")[0],
            Json::parse(R"({"role": "system", "content": [{"type": "text", "text": "A"},
                                                          {"type": "text", "text": "B"}]})"));
}

TEST(MessagesRequest, AConversationWithTools) {
  const ChatRequest request = MustParse(R"({
      "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}}],
      "tool_choice": {"type": "auto", "disable_parallel_tool_use": true},
      "messages": [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": [
          {"type": "thinking", "thinking": "hm", "signature": ""},
          {"type": "text", "text": "Looking."},
          {"type": "tool_use", "id": "t1", "name": "f", "input": {"n": 1.0}}]},
        {"role": "user", "content": [
          {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "sun"}]},
          {"type": "tool_result", "tool_use_id": "t2", "is_error": true},
          {"type": "text", "text": "And now?"}]}]})");
  EXPECT_EQ(Json::parse(request.messages_json), Json::parse(R"([
      {"role": "user", "content": "Weather?"},
      {"role": "assistant", "content": "Looking.", "reasoning_content": "hm", "tool_calls": [
        {"id": "t1", "type": "function", "function": {"name": "f", "arguments": {"n": 1.0}}}]},
      {"role": "tool", "tool_call_id": "t1", "content": "sun"},
      {"role": "tool", "tool_call_id": "t2", "content": ""},
      {"role": "user", "content": "And now?"}])"));
  EXPECT_EQ(Json::parse(request.tools_json), Json::parse(R"([{"type": "function", "function": {
      "name": "f", "description": "d", "parameters": {"type": "object"}}}])"));
  EXPECT_FALSE(request.parallel_tool_calls);
  EXPECT_THAT(request.params.ignored, ElementsAre("tool_result.is_error"));
}

TEST(MessagesRequest, ALastMessageOfTheAssistantIsContinued) {
  const ChatRequest request = MustParse(
      R"({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "He"}]})");
  EXPECT_TRUE(request.continue_final_message);
  EXPECT_FALSE(request.add_generation_prompt);
}

TEST(MessagesRequest, ForcedTools) {
  constexpr char kTools[] = R"("tools": [{"name": "f", "input_schema": {"type": "object"}}])";
  for (const auto& [choice, name] :
       {std::pair(R"({"type": "any"})", ""), std::pair(R"({"type": "tool", "name": "f"})", "f")}) {
    const ChatRequest request =
        MustParse(("{" + std::string(kTools) + ", \"tool_choice\": " + choice + "}").c_str());
    ASSERT_TRUE(request.params.constraint.has_value());
    EXPECT_EQ(request.params.constraint->tool_name, name);
  }
}

TEST(MessagesRequest, Format) {
  for (
      const char* members :
      {R"({"output_format": {"type": "json_schema", "schema": {"type": "object"}}})",
       R"({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}})"}) {
    const ChatRequest request = MustParse(members);
    ASSERT_TRUE(request.params.constraint.has_value());
    EXPECT_EQ(request.params.constraint->text, R"({"type":"object"})");
  }
}

TEST(MessagesRequest, MaxTokensMayBeAbsentOnlyWhereTokensAreCounted) {
  const std::string body = Body(R"({"max_tokens": null})");
  EXPECT_TRUE(ParseCountTokensRequest(body, {}).ok());
  EXPECT_THAT(ErrorBody(ParseMessagesRequest(body, {}).status()), HasSubstr("\"max_tokens\""));
}

TEST(MessagesRequest, ErrorsNameTheField) {
  const struct {
    const char* members;
    const char* param;
  } cases[] = {
      {R"({"messages": null})", "messages"},
      {R"({"messages": []})", "messages"},
      {R"({"messages": {}})", "messages"},
      {R"({"messages": [1]})", "messages[0]"},
      {R"({"messages": [{"content": "x"}]})", "messages[0].role"},
      {R"({"messages": [{"role": "system", "content": "x"}]})", "messages[0].role"},
      {R"({"messages": [{"role": "user"}]})", "messages[0].content"},
      {R"({"messages": [{"role": "user", "content": []}]})", "messages[0].content"},
      {R"({"messages": [{"role": "user", "content": 1}]})", "messages[0].content"},
      {R"({"messages": [{"role": "user", "content": ["x"]}]})", "messages[0].content[0]"},
      {R"({"messages": [{"role": "user", "content": [{"type": "image"}]}]})",
       "messages[0].content[0].type"},
      {R"({"messages": [{"role": "user", "content": [{"type": "text"}]}]})",
       "messages[0].content[0].text"},
      {R"({"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]})",
       "messages[0].content[0].tool_use_id"},
      {R"({"messages": [{"role": "user", "content": [
          {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image"}]}]}]})",
       "messages[0].content[0].content[0].type"},
      {R"({"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "t"}]}]})",
       "messages[0].content[0].name"},
      {R"({"messages": [{"role": "assistant", "content": [
          {"type": "tool_use", "id": "t", "name": "f", "input": "{}"}]}]})",
       "messages[0].content[0].input"},
      {R"({"messages": [{"role": "assistant", "content": [{"type": "redacted_thinking"}]}]})",
       "messages[0].content[0].type"},
      {R"({"system": 1})", "system"},
      {R"({"system": [{"type": "image"}]})", "system[0].type"},
      {R"({"max_tokens": 0})", "max_tokens"},
      {R"({"stop_sequences": [1]})", "stop_sequences"},
      {R"({"tools": {}})", "tools"},
      {R"({"tools": [{"type": "web_search_20250305", "name": "w"}]})", "tools[0].type"},
      {R"({"tools": [{"input_schema": {}}]})", "tools[0].name"},
      {R"({"tools": [{"name": "f"}]})", "tools[0].input_schema"},
      {R"({"tool_choice": "auto"})", "tool_choice"},
      {R"({"tool_choice": {"type": "tool"}})", "tool_choice"},
      {R"({"tool_choice": {"type": "any"}})", "tool_choice"},
      {R"({"output_format": {"type": "text"}})", "output_format"},
      {R"({"mcp_servers": [{"url": "u"}]})", "mcp_servers"},
      {R"({"n": 2})", "n"},
      {R"({"logprobs": true})", "logprobs"},
  };
  for (const auto& [members, param] : cases) {
    const absl::Status status = ParseMessagesRequest(Body(members), {}).status();
    ASSERT_TRUE(absl::IsInvalidArgument(status)) << members;
    const std::string got = Json::parse(ErrorBody(status))["error"]["param"];
    EXPECT_TRUE(got == param || got.starts_with(std::string(param) + "["))
        << members << ": " << got;
  }
}

}  // namespace
}  // namespace vallm::gateway
