#include "gateway/openai/answer_encoder.h"

#include <string>
#include <vector>

#include "gateway/openai/errors.h"
#include "gateway/openai/json_text.h"
#include "gmock/gmock.h"
#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

using Json = nlohmann::ordered_json;
using Kind = GenerationEvent::Kind;

AnswerHeader Header() {
  return {.id = "id-1",
          .created = 7,
          .model = "m \"x\"",
          .system_fingerprint = "fp_1",
          .choice_count = 1,
          .prompt_tokens = 3,
          .include_usage = false,
          .continuous_usage = false};
}

GenerationEvent Event(Kind kind, std::string text, int tool_index = 0) {
  GenerationEvent event;
  event.kind = kind;
  event.text = std::move(text);
  event.tool_index = tool_index;
  return event;
}

std::vector<GenerationEvent> ToolAnswer() {
  return {Event(Kind::kReasoning, "let me\n"),
          Event(Kind::kReasoning, "see"),
          Event(Kind::kContent, "I will \"ask\" \x01 你好"),
          Event(Kind::kToolCallStart, "f"),
          Event(Kind::kToolCallArguments, "{\"a\":"),
          Event(Kind::kToolCallArguments, "1}"),
          Event(Kind::kToolCallStart, "g", 1),
          Event(Kind::kToolCallArguments, "{}", 1),
          Event(Kind::kFinish, "tool_calls")};
}

std::vector<Json> Chunks(StreamEncoder& encoder, const std::vector<GenerationEvent>& events,
                         const TokenUsage& usage) {
  std::string out;
  encoder.Begin(&out);
  for (const GenerationEvent& event : events) encoder.Encode(event, &out);
  encoder.End(usage, &out);
  constexpr std::string_view kDone = "data: [DONE]\n\n";
  EXPECT_TRUE(out.ends_with(kDone));
  out.resize(out.size() - std::min(out.size(), kDone.size()));
  std::vector<Json> chunks;
  for (size_t start = 0; start < out.size();) {
    const size_t end = out.find("\n\n", start);
    EXPECT_EQ(out.compare(start, 6, "data: "), 0);
    chunks.push_back(Json::parse(out.substr(start + 6, end - start - 6)));
    start = end + 2;
  }
  return chunks;
}

// What a client adds up from the deltas of a stream.
Json FoldDeltas(const std::vector<Json>& chunks) {
  std::string content, reasoning, finish;
  Json calls = Json::array();
  for (const Json& chunk : chunks) {
    const Json& choice = chunk["choices"][0];
    const Json& delta = choice["delta"];
    content += delta.value("content", "");
    reasoning += delta.value("reasoning_content", "");
    if (choice["finish_reason"].is_string()) finish = choice["finish_reason"];
    if (!delta.contains("tool_calls")) continue;
    for (const Json& call : delta["tool_calls"]) {
      const size_t index = call["index"];
      if (index == calls.size())
        calls.push_back({{"name", call["function"]["name"]}, {"arguments", ""}});
      calls[index]["arguments"] = calls[index]["arguments"].get<std::string>() +
                                  call["function"]["arguments"].get<std::string>();
    }
  }
  return {{"content", content}, {"reasoning", reasoning}, {"finish", finish}, {"calls", calls}};
}

TEST(ChatEncoder, AStreamAddsUpToTheWholeAnswer) {
  const Json folded = FoldDeltas(Chunks(*NewChatStreamEncoder(Header()), ToolAnswer(), {}));
  auto whole_encoder = NewChatWholeEncoder(Header());
  for (const GenerationEvent& event : ToolAnswer()) whole_encoder->Add(event);
  const Json whole = Json::parse(whole_encoder->Body({.prompt_tokens = 3, .completion_tokens = 9}));
  const Json& message = whole["choices"][0]["message"];
  EXPECT_EQ(folded["content"], message["content"]);
  EXPECT_EQ(folded["reasoning"], message["reasoning_content"]);
  EXPECT_EQ(folded["finish"], whole["choices"][0]["finish_reason"]);
  ASSERT_EQ(message["tool_calls"].size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(folded["calls"][i]["name"], message["tool_calls"][i]["function"]["name"]);
    EXPECT_EQ(folded["calls"][i]["arguments"], message["tool_calls"][i]["function"]["arguments"]);
  }
  EXPECT_EQ(whole["usage"]["total_tokens"], 12);
  EXPECT_EQ(whole["model"], "m \"x\"");
}

TEST(ChatEncoder, OnlyTheFirstDeltaOfACallNamesIt) {
  int named = 0;
  for (const Json& chunk : Chunks(*NewChatStreamEncoder(Header()), ToolAnswer(), {})) {
    const Json& delta = chunk["choices"][0]["delta"];
    if (!delta.contains("tool_calls")) continue;
    const Json& call = delta["tool_calls"][0];
    EXPECT_EQ(call.contains("id"), call.contains("type"));
    EXPECT_EQ(call.contains("id"), call["function"].contains("name"));
    named += call.contains("id") ? 1 : 0;
  }
  EXPECT_EQ(named, 2);
}

TEST(ChatEncoder, ContentIsNullOnlyBesideToolCalls) {
  auto plain = NewChatWholeEncoder(Header());
  plain->Add(Event(Kind::kFinish, "stop"));
  EXPECT_EQ(Json::parse(plain->Body({}))["choices"][0]["message"]["content"], "");
  auto tools = NewChatWholeEncoder(Header());
  tools->Add(Event(Kind::kToolCallStart, "f"));
  tools->Add(Event(Kind::kFinish, "tool_calls"));
  EXPECT_EQ(Json::parse(tools->Body({}))["choices"][0]["message"]["content"], nullptr);
}

TEST(ChatEncoder, UsageIsOneLastChunkWithoutChoices) {
  AnswerHeader header = Header();
  header.include_usage = true;
  const auto chunks = Chunks(*NewChatStreamEncoder(header), ToolAnswer(),
                             {.prompt_tokens = 3,
                              .cached_tokens = 2,
                              .completion_tokens = 9,
                              .reasoning_tokens = 4,
                              .draft_tokens = 7,
                              .accepted_draft_tokens = 5});
  for (size_t i = 0; i + 1 < chunks.size(); ++i) EXPECT_EQ(chunks[i].at("usage"), nullptr);
  EXPECT_EQ(chunks.back()["choices"], Json::array());
  EXPECT_EQ(chunks.back()["usage"],
            Json::parse(R"({"prompt_tokens":3,"completion_tokens":9,"total_tokens":12,
                "prompt_tokens_details":{"cached_tokens":2},
                "completion_tokens_details":{"reasoning_tokens":4,
                "accepted_prediction_tokens":5,"rejected_prediction_tokens":2}})"));
}

TEST(CompletionEncoder, AStreamAddsUpToTheWholeAnswer) {
  const std::vector<GenerationEvent> events = {
      Event(Kind::kContent, "a\t"), Event(Kind::kContent, "b"), Event(Kind::kFinish, "length")};
  std::string streamed;
  for (const Json& chunk : Chunks(*NewCompletionStreamEncoder(Header()), events, {})) {
    streamed += chunk["choices"][0]["text"].get<std::string>();
  }
  auto whole = NewCompletionWholeEncoder(Header());
  for (const GenerationEvent& event : events) whole->Add(event);
  const Json body = Json::parse(whole->Body({}));
  EXPECT_EQ(streamed, body["choices"][0]["text"]);
  EXPECT_EQ(body["choices"][0]["finish_reason"], "length");
}

TEST(JsonText, EscapesAsJsonDemands) {
  for (const std::string text : {"", "plain", "\"\\/\b\f\n\r\t", "\x01\x1f\x7f", "你好 😀"}) {
    std::string out;
    AppendJsonString(text, &out);
    EXPECT_EQ(Json::parse(out), Json(text)) << out;
  }
  std::string nul;
  AppendJsonString(std::string("a\0b", 3), &nul);
  EXPECT_EQ(nul, "\"a\\u0000b\"");
}

struct ErrorRow {
  absl::Status status;
  int http;
  std::string code;
};

TEST(Errors, EveryStatusHasItsHttpStatusAndCode) {
  const std::vector<ErrorRow> rows = {
      {absl::InvalidArgumentError("m"), 400, "null"},
      {absl::FailedPreconditionError("m"), 400, "null"},
      {absl::UnauthenticatedError("m"), 401, "\"invalid_api_key\""},
      {absl::NotFoundError("m"), 404, "\"not_found\""},
      {absl::ResourceExhaustedError("m"), 429, "\"rate_limit_exceeded\""},
      {absl::CancelledError("m"), 499, "\"client_closed_request\""},
      {absl::InternalError("m"), 500, "\"internal_error\""},
      {absl::DataLossError("m"), 500, "\"internal_error\""},
      {absl::UnavailableError("m"), 503, "\"service_unavailable\""},
      {absl::DeadlineExceededError("m"), 504, "\"timeout\""},
      {WithErrorCode(absl::InvalidArgumentError("m"), "c", "p"), 400, "\"c\""},
  };
  for (const ErrorRow& row : rows) {
    EXPECT_EQ(HttpStatusOf(row.status), row.http) << row.status;
    EXPECT_EQ(Json::parse(ErrorBody(row.status))["error"]["code"].dump(), row.code) << row.status;
  }
}

TEST(Errors, MessagesNeedNotBeUtf8) {
  const std::string body = ErrorBody(absl::InvalidArgumentError("bad \xff byte"));
  EXPECT_TRUE(Json::accept(body)) << body;
}

}  // namespace
}  // namespace vallm::gateway
