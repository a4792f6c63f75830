#include "gateway/responses/responses_encoder.h"

#include <string>
#include <vector>

#include "gateway/openai/token_texts.h"
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
  header.id = "resp_1";
  header.created = 7;
  header.model = "m";
  header.prompt_tokens = 30;
  return header;
}

struct Told {
  std::vector<Json> events;
  std::vector<StoredResponse> kept;
};

ResponseFrame Frame(std::vector<StoredResponse>* kept, bool thought_as_summary) {
  return {.settings = "\"store\":true",
          .thought_as_summary = thought_as_summary,
          .keep = [kept](StoredResponse response) { kept->push_back(std::move(response)); }};
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
    EXPECT_EQ(frames.back()["sequence_number"], frames.size() - 1);
    start = end + 2;
  }
  return frames;
}

Told StreamOf(const std::vector<GenerationEvent>& events, bool thought_as_summary = false,
              AnswerHeader header = Header()) {
  Told told;
  const auto encoder =
      NewResponsesStreamEncoder(std::move(header), Frame(&told.kept, thought_as_summary));
  std::string out;
  encoder->Begin(&out);
  for (const GenerationEvent& event : events) encoder->Encode(event, &out);
  encoder->End(kUsage, &out);
  told.events = Frames(out);
  return told;
}

Json WholeOf(const std::vector<GenerationEvent>& events, bool thought_as_summary = false,
             AnswerHeader header = Header()) {
  std::vector<StoredResponse> kept;
  const auto encoder =
      NewResponsesWholeEncoder(std::move(header), Frame(&kept, thought_as_summary));
  for (const GenerationEvent& event : events) encoder->Add(event);
  const std::string body = encoder->Body(kUsage);
  EXPECT_EQ(kept.at(0).body, body);
  return Json::parse(body);
}

void AppendText(Json& to, const Json& delta) {
  to = to.get<std::string>() + delta.get<std::string>();
}

// What a client makes of the events without looking at what the last one repeats.
Json Fold(const std::vector<Json>& events) {
  Json output = Json::array();
  for (const Json& event : events) {
    const std::string type = event["type"];
    if (type == "response.output_item.added") {
      EXPECT_EQ(event["output_index"], output.size());
      EXPECT_EQ(event["item"]["status"], "in_progress");
      output.push_back(event["item"]);
      continue;
    }
    if (!event.contains("output_index")) continue;
    Json& item = output.at(event["output_index"].get<size_t>());
    EXPECT_EQ(event.value("item_id", item["id"]), item["id"]);
    if (type == "response.content_part.added") item["content"].push_back(event["part"]);
    if (type == "response.reasoning_summary_part.added") item["summary"].push_back(event["part"]);
    if (type == "response.output_text.delta") {
      for (const Json& token : event["logprobs"]) item["content"][0]["logprobs"].push_back(token);
    }
    if (type == "response.output_text.delta" || type == "response.reasoning_text.delta") {
      AppendText(item["content"][event["content_index"].get<size_t>()]["text"], event["delta"]);
    }
    if (type == "response.reasoning_summary_text.delta") {
      AppendText(item["summary"][event["summary_index"].get<size_t>()]["text"], event["delta"]);
    }
    if (type == "response.function_call_arguments.delta") {
      AppendText(item["arguments"], event["delta"]);
    }
    if (type == "response.function_call_arguments.done") {
      EXPECT_EQ(item["arguments"], event["arguments"]);
      EXPECT_EQ(item["name"], event["name"]);
    }
    if (type == "response.output_text.done" || type == "response.reasoning_text.done") {
      EXPECT_EQ(item["content"][0]["text"], event["text"]);
    }
    if (type == "response.content_part.done") {
      EXPECT_EQ(item["content"][0], event["part"]);
    }
    if (type == "response.output_item.done") {
      item["status"] = event["item"]["status"];
      EXPECT_EQ(item, event["item"]);
    }
  }
  return output;
}

Json WithoutIds(Json output) {
  for (Json& item : output) {
    item.erase("id");
    item.erase("call_id");
  }
  return output;
}

std::vector<std::string> Types(const std::vector<Json>& events) {
  std::vector<std::string> types;
  for (const Json& event : events) types.push_back(event["type"]);
  return types;
}

TEST(ResponsesEncoder, WholeResponse) {
  Json body = WholeOf(ToolAnswer());
  body["output"] = WithoutIds(body["output"]);
  EXPECT_EQ(body, Json::parse(R"({
      "id": "resp_1", "object": "response", "created_at": 7, "status": "completed",
      "error": null, "incomplete_details": null, "model": "m", "output": [
        {"status": "completed", "type": "reasoning", "summary": [],
         "content": [{"type": "reasoning_text", "text": "let me"}]},
        {"status": "completed", "type": "message", "role": "assistant", "content": [
          {"type": "output_text", "annotations": [], "logprobs": [], "text": "a \"b\" 你\nc"}]},
        {"status": "completed", "type": "function_call", "name": "f",
         "arguments": "{\"a\": 1.0}"},
        {"status": "completed", "type": "function_call", "name": "g", "arguments": "{}"}],
      "usage": {"input_tokens": 30, "input_tokens_details": {"cached_tokens": 16},
                "output_tokens": 9, "output_tokens_details": {"reasoning_tokens": 2},
                "total_tokens": 39},
      "store": true})"));
}

TEST(ResponsesEncoder, EventsOfAStream) {
  const std::vector<Json> events =
      StreamOf({Event(Kind::kContent, "a"), Event(Kind::kContent, "b"),
                Event(Kind::kToolCallStart, "f"), Event(Kind::kToolCallArguments, "{}"),
                Event(Kind::kFinish, "tool_calls")})
          .events;
  EXPECT_THAT(
      Types(events),
      testing::ElementsAre("response.created", "response.in_progress", "response.output_item.added",
                           "response.content_part.added", "response.output_text.delta",
                           "response.output_text.delta", "response.output_text.done",
                           "response.content_part.done", "response.output_item.done",
                           "response.output_item.added", "response.function_call_arguments.delta",
                           "response.function_call_arguments.done", "response.output_item.done",
                           "response.completed"));
  EXPECT_EQ(events[0]["response"]["status"], "in_progress");
  EXPECT_EQ(events[0]["response"]["usage"], nullptr);
  EXPECT_EQ(events[0]["response"]["output"], Json::array());
}

TEST(ResponsesEncoder, AStreamFoldsToTheWholeResponse) {
  for (const bool thought_as_summary : {false, true}) {
    const std::vector<Json> events = StreamOf(ToolAnswer(), thought_as_summary).events;
    const Json& response = events.back()["response"];
    EXPECT_EQ(Fold(events), response["output"]);
    Json whole = WholeOf(ToolAnswer(), thought_as_summary);
    EXPECT_EQ(WithoutIds(response["output"]), WithoutIds(whole["output"]));
    Json rest = response;
    rest.erase("output");
    whole.erase("output");
    EXPECT_EQ(rest, whole);
  }
}

TEST(ResponsesEncoder, AThoughtMayStandInTheSummary) {
  const Json item = WithoutIds(WholeOf(ToolAnswer(), /*thought_as_summary=*/true)["output"])[0];
  EXPECT_EQ(item, Json::parse(R"({"status": "completed", "type": "reasoning",
                                  "summary": [{"type": "summary_text", "text": "let me"}]})"));
}

TEST(ResponsesEncoder, CutByLengthIsIncompleteAndSoIsTheLastItem) {
  const std::vector<GenerationEvent> events = {
      Event(Kind::kContent, "hm"), Event(Kind::kToolCallStart, "f"),
      Event(Kind::kToolCallArguments, "{\"a\": "), Event(Kind::kFinish, "length")};
  const std::vector<Json> told = StreamOf(events).events;
  EXPECT_EQ(told.back()["type"], "response.incomplete");
  for (const Json& response : {told.back()["response"], WholeOf(events)}) {
    EXPECT_EQ(response["status"], "incomplete");
    EXPECT_EQ(response["incomplete_details"], Json({{"reason", "max_output_tokens"}}));
    EXPECT_EQ(response["output"][0]["status"], "completed");
    EXPECT_EQ(response["output"][1]["status"], "incomplete");
    EXPECT_EQ(response["output"][1]["arguments"], "{\"a\": ");
  }
  EXPECT_EQ(Fold(told), told.back()["response"]["output"]);
}

TEST(ResponsesEncoder, AnErrorEndsTheStreamWithWhatThereIs) {
  std::vector<StoredResponse> kept;
  const auto encoder = NewResponsesStreamEncoder(Header(), Frame(&kept, false));
  std::string out;
  encoder->Begin(&out);
  encoder->Encode(Event(Kind::kContent, "half"), &out);
  encoder->Fail(absl::UnavailableError("gone \xff"), &out);
  const Json last = Frames(out).back();
  EXPECT_EQ(last["type"], "response.failed");
  EXPECT_EQ(last["response"]["status"], "failed");
  EXPECT_EQ(last["response"]["error"],
            Json({{"code", "server_error"}, {"message", "gone \xef\xbf\xbd"}}));
  EXPECT_EQ(last["response"]["output"][0]["content"][0]["text"], "half");
  EXPECT_EQ(last["response"]["output"][0]["status"], "incomplete");
  EXPECT_TRUE(kept.empty());
}

TEST(ResponsesEncoder, IdsAreOfTheirItems) {
  const Json output = WholeOf(ToolAnswer())["output"];
  const char* prefixes[] = {"rs_", "msg_", "fc_", "fc_"};
  for (size_t i = 0; i < output.size(); ++i) {
    EXPECT_TRUE(output[i]["id"].get<std::string>().starts_with(prefixes[i])) << output[i];
  }
  EXPECT_TRUE(output[2]["call_id"].get<std::string>().starts_with("call_"));
  EXPECT_NE(output[2]["call_id"], output[3]["call_id"]);
}

TEST(ResponsesEncoder, LogprobsAreOfTheTextsTokensOnly) {
  AnswerHeader header = Header();
  header.logprobs = true;
  header.token_table = std::make_shared<TokenTexts>(std::vector<std::string>{"<", "a", "b"});
  std::vector<GenerationEvent> events = {Event(Kind::kReasoning, "x"), Event(Kind::kContent, "a"),
                                         Event(Kind::kContent, "b"), Event(Kind::kFinish, "stop")};
  events[0].logprobs = {{.token_id = 0, .logprob = -9, .top = {}, .shows = true}};
  events[1].logprobs = {{.token_id = 0, .logprob = -8, .top = {}, .shows = false},
                        {.token_id = 1, .logprob = -1, .top = {{1, -1}}, .shows = true}};
  events[2].logprobs = {{.token_id = 2, .logprob = -2, .top = {}, .shows = true}};
  events[3].logprobs = {{.token_id = 0, .logprob = -7, .top = {}, .shows = false}};
  const Json whole = WholeOf(events, false, header)["output"];
  EXPECT_EQ(whole[1]["content"][0]["logprobs"], Json::parse(R"([
      {"token": "a", "logprob": -1, "bytes": [97],
       "top_logprobs": [{"token": "a", "logprob": -1, "bytes": [97]}]},
      {"token": "b", "logprob": -2, "bytes": [98], "top_logprobs": []}])"));
  const std::vector<Json> told = StreamOf(events, false, header).events;
  EXPECT_EQ(WithoutIds(Fold(told)), WithoutIds(whole));
}

TEST(ResponsesEncoder, AnEmptyAnswerHasNoItems) {
  const std::vector<GenerationEvent> events = {Event(Kind::kContent, ""),
                                               Event(Kind::kFinish, "stop")};
  EXPECT_EQ(WholeOf(events)["output"], Json::array());
  EXPECT_EQ(StreamOf(events).events.size(), 3u);
}

TEST(ResponsesEncoder, KeepsTheItemsThatItTold) {
  const Told told = StreamOf(ToolAnswer());
  ASSERT_EQ(told.kept.size(), 1u);
  const Json output = told.events.back()["response"]["output"];
  EXPECT_EQ(told.kept[0].id, "resp_1");
  EXPECT_EQ(Json::parse(told.kept[0].body), told.events.back()["response"]);
  ASSERT_EQ(told.kept[0].output.size(), output.size());
  for (size_t i = 0; i < output.size(); ++i) {
    EXPECT_EQ(told.kept[0].output[i].id, output[i]["id"]);
    EXPECT_EQ(Json::parse(told.kept[0].output[i].json), output[i]);
  }
}

}  // namespace
}  // namespace vallm::gateway
