#include "tools/doctor/endpoint.h"

#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "tools/chat/sse_parser.h"
#include "tools/http/http_client.h"

namespace vallm::tools {
namespace {

using nlohmann::json;

// A string member, or "" where there is none.
std::string Text(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

json Parse(const std::string& text) {
  return json::parse(text, nullptr, /*allow_exceptions=*/false);
}

absl::Status Refused(const HttpReply& reply) {
  const json body = Parse(reply.body);
  std::string message = reply.body;
  if (body.is_object() && body.contains("error") && body["error"].is_object()) {
    message = Text(body["error"], "message");
  }
  return absl::FailedPreconditionError(absl::StrCat("HTTP ", reply.status, ": ", message));
}

HttpRequest Request(const std::string& origin, const std::string& key, const char* method,
                    const std::string& path) {
  HttpRequest request;
  request.method = method;
  request.origin = origin;
  request.path = path;
  request.bearer_token = key;
  request.read_timeout = absl::Minutes(2);
  return request;
}

std::string CallText(const json& function) {
  return absl::StrCat(Text(function, "name"), "(", Text(function, "arguments"), ")\n");
}

void TakeUsage(const json& body, ChatAnswer& answer) {
  if (!body.contains("usage") || !body["usage"].is_object()) return;
  answer.prompt_tokens = body["usage"].value("prompt_tokens", int64_t{0});
  answer.completion_tokens = body["usage"].value("completion_tokens", int64_t{0});
}

// Puts a stream together.
class StreamReader {
 public:
  void Take(std::string_view bytes) {
    for (const std::string& event : parser_.Feed(bytes)) TakeEvent(event);
  }

  absl::StatusOr<ChatAnswer> Finish() {
    if (!error_.empty()) return absl::FailedPreconditionError(error_);
    if (!done_) return absl::FailedPreconditionError("the stream ended without [DONE]");
    for (const auto& [index, call] : calls_) {
      absl::StrAppend(&answer_.tool_calls, call.first, "(", call.second, ")\n");
    }
    return answer_;
  }

  std::optional<absl::Time> first_event() const { return first_; }

 private:
  void TakeEvent(const std::string& event) {
    if (event == "[DONE]") {
      done_ = true;
      return;
    }
    const json chunk = Parse(event);
    if (!chunk.is_object()) {
      error_ = absl::StrCat("an event of the stream is no JSON: ", event);
      return;
    }
    if (chunk.contains("error")) {
      error_ = chunk["error"].is_object() ? Text(chunk["error"], "message") : event;
      return;
    }
    TakeUsage(chunk, answer_);
    if (!chunk.contains("choices") || chunk["choices"].empty()) return;
    const json& choice = chunk["choices"][0];
    const std::string reason = Text(choice, "finish_reason");
    if (!reason.empty()) answer_.finish_reason = reason;
    if (choice.contains("delta")) TakeDelta(choice["delta"]);
  }

  void TakeDelta(const json& delta) {
    const std::string reasoning = Text(delta, "reasoning_content");
    const std::string content = Text(delta, "content");
    const bool calls = delta.contains("tool_calls") && delta["tool_calls"].is_array();
    if (!first_ && (calls || !reasoning.empty() || !content.empty())) first_ = absl::Now();
    answer_.reasoning += reasoning;
    answer_.content += content;
    if (!calls) return;
    for (const json& call : delta["tool_calls"]) {
      auto& [name, arguments] = calls_[call.value("index", 0)];
      if (!call.contains("function")) continue;
      name += Text(call["function"], "name");
      arguments += Text(call["function"], "arguments");
    }
  }

  SseParser parser_;
  ChatAnswer answer_;
  std::map<int, std::pair<std::string, std::string>> calls_;  // name, arguments
  std::optional<absl::Time> first_;
  std::string error_;
  bool done_ = false;
};

}  // namespace

absl::StatusOr<json> Endpoint::Get(const std::string& path) const {
  VALLM_ASSIGN_OR_RETURN(const HttpReply reply, SendHttp(Request(origin_, api_key_, "GET", path)));
  if (reply.status != 200) return Refused(reply);
  json body = Parse(reply.body);
  if (body.is_discarded()) {
    return absl::FailedPreconditionError(absl::StrCat(path, " did not answer with JSON"));
  }
  return body;
}

absl::StatusOr<json> Endpoint::Post(const std::string& path, const json& body) const {
  HttpRequest request = Request(origin_, api_key_, "POST", path);
  request.body = body.dump();
  VALLM_ASSIGN_OR_RETURN(const HttpReply reply, SendHttp(request));
  if (reply.status != 200) return Refused(reply);
  json answer = Parse(reply.body);
  if (answer.is_discarded()) {
    return absl::FailedPreconditionError(absl::StrCat(path, " did not answer with JSON"));
  }
  return answer;
}

absl::StatusOr<ChatAnswer> Endpoint::Chat(const json& body) const {
  VALLM_ASSIGN_OR_RETURN(const json reply, Post("/v1/chat/completions", body));
  if (!reply.is_object() || !reply.contains("choices") || reply["choices"].empty() ||
      !reply["choices"][0].contains("message")) {
    return absl::FailedPreconditionError("the answer has no choice with a message");
  }
  const json& choice = reply["choices"][0];
  const json& message = choice["message"];
  ChatAnswer answer;
  answer.reasoning = Text(message, "reasoning_content");
  answer.content = Text(message, "content");
  if (message.contains("tool_calls") && message["tool_calls"].is_array()) {
    for (const json& call : message["tool_calls"]) answer.tool_calls += CallText(call["function"]);
  }
  answer.finish_reason = Text(choice, "finish_reason");
  TakeUsage(reply, answer);
  return answer;
}

absl::StatusOr<ChatAnswer> Endpoint::StreamChat(json body, absl::Duration* first) const {
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}};
  HttpRequest request = Request(origin_, api_key_, "POST", "/v1/chat/completions");
  request.body = body.dump();
  StreamReader reader;
  const absl::Time begin = absl::Now();
  VALLM_ASSIGN_OR_RETURN(const HttpReply reply, SendHttp(request, [&](std::string_view bytes) {
                           reader.Take(bytes);
                           return true;
                         }));
  if (reply.status != 200) return Refused(reply);
  *first = reader.first_event().value_or(absl::Now()) - begin;
  return reader.Finish();
}

absl::StatusOr<Endpoint::Refusal> Endpoint::Try(const std::string& path, const json& body) const {
  HttpRequest request = Request(origin_, api_key_, "POST", path);
  request.body = body.dump();
  VALLM_ASSIGN_OR_RETURN(const HttpReply reply, SendHttp(request));
  const json answer = Parse(reply.body);
  Refusal refusal{.status = reply.status, .code = {}};
  if (answer.is_object() && answer.contains("error") && answer["error"].is_object()) {
    refusal.code = Text(answer["error"], "code");
  }
  return refusal;
}

}  // namespace vallm::tools
