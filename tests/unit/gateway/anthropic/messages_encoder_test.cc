#include "gateway/anthropic/messages_encoder.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "nlohmann/json.hpp"

namespace vallm::gateway {
namespace {

using Json = nlohmann::ordered_json;
using Kind = GenerationEvent::Kind;

constexpr TokenUsage kUsage = {
    .prompt_tokens = 30, .cached_tokens = 16, .completion_tokens = 9, .reasoning_tokens = 2};

GenerationEvent Event(Kind kind, std::string text, int tool_index = 0) {
  GenerationEvent event;
  event.kind = kind;
  event.text = std::move(text);
  event.tool_index = tool_index;
  return event;
}

std::vector<GenerationEvent> ToolAnswer() {
  return {Event(Kind::kReasoning, "let "),          Event(Kind::kReasoning, "me"),
          Event(Kind::kContent, "a \"b\" 你\n"),    Event(Kind::kContent, "c"),
          Event(Kind::kToolCallStart, "f"),         Event(Kind::kToolCallArguments, "{\"a\": "),
          Event(Kind::kToolCallArguments, "1.0}"),  Event(Kind::kToolCallStart, "g", 1),
          Event(Kind::kToolCallArguments, "{}", 1), Event(Kind::kFinish, "tool_calls")};
}

AnswerHeader Header() {
  AnswerHeader header;
  header.id = "msg_1";
  header.model = "m";
  header.prompt_tokens = 30;
  return header;
}

// The data of all frames, whose event lines must name their types.
std::vector<Json> Frames(const std::string& out) {
  std::vector<Json> frames;
  for (size_t start = 0; start < out.size();) {
    const size_t end = out.find("\n\n", start);
    const std::string frame = out.substr(start, end - start);
    const size_t line = frame.find('\n');
    frames.push_back(Json::parse(frame.substr(line + 7)));
    EXPECT_EQ(frame.substr(0, line + 7),
              "event: " + frames.back()["type"].get<std::string>() + "\ndata: ");
    start = end + 2;
  }
  return frames;
}

std::vector<Json> StreamOf(const std::vector<GenerationEvent>& events) {
  const auto encoder = NewMessagesStreamEncoder(Header());
  std::string out;
  encoder->Begin(&out);
  for (const GenerationEvent& event : events) encoder->Encode(event, &out);
  encoder->End(kUsage, &out);
  return Frames(out);
}

Json WholeOf(const std::vector<GenerationEvent>& events) {
  const auto encoder = NewMessagesWholeEncoder(Header());
  for (const GenerationEvent& event : events) encoder->Add(event);
  return Json::parse(encoder->Body(kUsage));
}

// What an SDK makes of a stream.
Json Fold(const std::vector<Json>& frames) {
  Json message;
  std::string input;
  for (const Json& frame : frames) {
    const std::string type = frame["type"];
    if (type == "message_start") message = frame["message"];
    if (type == "content_block_start") {
      EXPECT_EQ(frame["index"], message["content"].size());
      message["content"].push_back(frame["content_block"]);
      input.clear();
    }
    if (type == "content_block_delta") {
      Json& block = message["content"].back();
      const Json& delta = frame["delta"];
      if (delta["type"] == "text_delta") {
        block["text"] = block["text"].get<std::string>() + delta["text"].get<std::string>();
      } else if (delta["type"] == "thinking_delta") {
        block["thinking"] =
            block["thinking"].get<std::string>() + delta["thinking"].get<std::string>();
      } else {
        input += delta["partial_json"].get<std::string>();
      }
    }
    if (type == "content_block_stop" && !input.empty()) {
      message["content"].back()["input"] = Json::parse(input);
    }
    if (type == "message_delta") {
      message.update(frame["delta"]);
      message["usage"] = frame["usage"];
    }
  }
  return message;
}

Json WithoutIds(Json message) {
  for (Json& block : message["content"]) block.erase("id");
  return message;
}

TEST(MessagesEncoder, WholeMessage) {
  const Json body = WithoutIds(WholeOf(ToolAnswer()));
  EXPECT_EQ(body, Json::parse(R"({
      "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [
        {"type": "thinking", "signature": "", "thinking": "let me"},
        {"type": "text", "text": "a \"b\" 你\nc"},
        {"type": "tool_use", "name": "f", "input": {"a": 1.0}},
        {"type": "tool_use", "name": "g", "input": {}}],
      "stop_reason": "tool_use", "stop_sequence": null,
      "usage": {"input_tokens": 14, "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 16, "output_tokens": 9}})"));
}

TEST(MessagesEncoder, AStreamFoldsToTheWholeMessage) {
  const std::vector<Json> frames = StreamOf(ToolAnswer());
  EXPECT_EQ(frames.front()["type"], "message_start");
  EXPECT_EQ(frames.front()["message"]["usage"]["input_tokens"], 30);
  EXPECT_EQ(frames.back(), Json({{"type", "message_stop"}}));
  EXPECT_EQ(WithoutIds(Fold(frames)), WithoutIds(WholeOf(ToolAnswer())));
}

TEST(MessagesEncoder, ToolsHaveIdsOfTheirOwn) {
  const Json content = WholeOf(ToolAnswer())["content"];
  EXPECT_TRUE(content[2]["id"].get<std::string>().starts_with("toolu_"));
  EXPECT_NE(content[2]["id"], content[3]["id"]);
}

TEST(MessagesEncoder, AnEmptyAnswerHasNoBlocks) {
  const std::vector<GenerationEvent> events = {Event(Kind::kFinish, "stop")};
  EXPECT_EQ(WholeOf(events)["content"], Json::array());
  EXPECT_EQ(StreamOf(events).size(), 3u);
}

TEST(MessagesEncoder, StopReasons) {
  EXPECT_EQ(WholeOf({Event(Kind::kFinish, "stop")})["stop_reason"], "end_turn");
  EXPECT_EQ(WholeOf({Event(Kind::kFinish, "length")})["stop_reason"], "max_tokens");
  GenerationEvent stopped = Event(Kind::kFinish, "stop");
  stopped.stop_reason = "\nHuman:";
  for (const Json& body : {WholeOf({stopped}), Fold(StreamOf({stopped}))}) {
    EXPECT_EQ(body["stop_reason"], "stop_sequence");
    EXPECT_EQ(body["stop_sequence"], "\nHuman:");
  }
}

TEST(MessagesEncoder, InputThatIsNoObjectIsHandedOverAsText) {
  for (const char* arguments : {"{\"a\": ", "[1]", "", "\"x\""}) {
    const Json body =
        WholeOf({Event(Kind::kToolCallStart, "f"), Event(Kind::kToolCallArguments, arguments),
                 Event(Kind::kFinish, "length")});
    EXPECT_EQ(body["content"][0]["input"], Json({{"INVALID_JSON", arguments}}));
  }
}

TEST(MessagesEncoder, AnErrorEndsTheStream) {
  const auto encoder = NewMessagesStreamEncoder(Header());
  std::string out;
  encoder->Fail(absl::UnavailableError("busy"), &out);
  EXPECT_EQ(Frames(out),
            std::vector<Json>{Json::parse(
                R"({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}})")});
}

}  // namespace
}  // namespace vallm::gateway
