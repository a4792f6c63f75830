#include "tools/chat/chat_client.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "tools/chat/sse_parser.h"

namespace vallm::tools {
namespace {

using nlohmann::ordered_json;

// Where OpenAI endpoints have their API, for a URL that is only a host.
constexpr char kDefaultPath[] = "/v1";

ordered_json ParseJson(const std::string& text) {
  return ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
}

// A string member, or "" when there is none.
std::string StringMember(const ordered_json& object, const char* name) {
  if (!object.is_object()) return "";
  const auto member = object.find(name);
  return member != object.end() && member->is_string() ? member->get<std::string>() : "";
}

// What an OpenAI error body says; the body itself when it is something else.
std::string ErrorMessage(const std::string& body) {
  const ordered_json json = ParseJson(body);
  if (json.is_object() && json.contains("error")) {
    const std::string message = StringMember(json["error"], "message");
    if (!message.empty()) return message;
  }
  return body.empty() ? "no explanation given" : body;
}

absl::Status ReplyError(const HttpReply& reply) {
  const std::string message =
      absl::StrCat("the server answered ", reply.status, ": ", ErrorMessage(reply.body));
  return reply.status == 401 ? absl::UnauthenticatedError(message + " (give --api-key)")
                             : absl::FailedPreconditionError(message);
}

// Puts the events of one answer together.
class AnswerReader {
 public:
  explicit AnswerReader(const ChatClient::Receiver& receiver) : receiver_(receiver) {}

  // False when the rest is not wanted.
  bool Take(std::string_view bytes) {
    for (const std::string& event : sse_.Feed(bytes)) {
      if (!TakeEvent(event)) return false;
    }
    return true;
  }

  absl::StatusOr<ChatClient::Answer> Finish() {
    if (!status_.ok()) return status_;
    if (!done_ && !broken_off_) return absl::UnavailableError("the answer ended too early");
    return std::move(answer_);
  }

 private:
  bool TakeEvent(const std::string& event) {
    if (event == "[DONE]") {
      done_ = true;
      return true;
    }
    const ordered_json json = ParseJson(event);
    if (!json.is_object() || json.contains("error")) {
      status_ = absl::UnavailableError(ErrorMessage(event));
      return false;
    }
    const auto choices = json.find("choices");
    if (choices == json.end() || !choices->is_array() || choices->empty()) return true;
    const ordered_json& choice = choices->front();
    const std::string reason = StringMember(choice, "finish_reason");
    if (!reason.empty()) answer_.finish_reason = reason;
    if (!choice.is_object() || !choice.contains("delta")) return true;
    const std::string thought = StringMember(choice["delta"], "reasoning_content");
    const std::string content = StringMember(choice["delta"], "content");
    answer_.content += content;
    broken_off_ = (!thought.empty() && !receiver_(/*thinking=*/true, thought)) ||
                  (!content.empty() && !receiver_(/*thinking=*/false, content));
    return !broken_off_;
  }

  const ChatClient::Receiver& receiver_;
  SseParser sse_;
  ChatClient::Answer answer_;
  absl::Status status_;
  bool done_ = false;
  bool broken_off_ = false;
};

}  // namespace

absl::StatusOr<ChatClient> ChatClient::Connect(ChatOptions options) {
  VALLM_ASSIGN_OR_RETURN(Url url, ParseUrl(options.url));
  if (url.path.empty()) {
    url.path = kDefaultPath;
    options.url = url.origin + url.path;
  }
  ChatClient client(std::move(options), std::move(url));
  if (!client.options_.model.empty()) return client;
  VALLM_ASSIGN_OR_RETURN(const HttpReply reply, SendHttp(client.Request("GET", "/models")));
  if (reply.status != 200) return ReplyError(reply);
  const ordered_json json = ParseJson(reply.body);
  if (json.is_object() && json.contains("data") && json["data"].is_array() &&
      !json["data"].empty()) {
    client.options_.model = StringMember(json["data"].front(), "id");
  }
  if (client.options_.model.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(client.options_.url, "/models lists no model: is this an OpenAI endpoint?"));
  }
  return client;
}

HttpRequest ChatClient::Request(const char* method, const std::string& path) const {
  HttpRequest request;
  request.method = method;
  request.origin = url_.origin;
  request.path = url_.path + path;
  request.bearer_token = options_.api_key;
  return request;
}

std::string ChatClient::Body(const std::string& text) const {
  ordered_json messages = ordered_json::array();
  if (!options_.system.empty()) {
    messages.push_back({{"role", "system"}, {"content", options_.system}});
  }
  for (const Turn& turn : turns_) {
    messages.push_back({{"role", "user"}, {"content", turn.user}});
    messages.push_back({{"role", "assistant"}, {"content", turn.assistant}});
  }
  messages.push_back({{"role", "user"}, {"content", text}});
  ordered_json body;
  body["model"] = options_.model;
  body["messages"] = std::move(messages);
  body["stream"] = true;
  if (options_.temperature) body["temperature"] = *options_.temperature;
  if (options_.max_tokens) body["max_tokens"] = *options_.max_tokens;
  if (!options_.think) body["chat_template_kwargs"] = {{"enable_thinking", false}};
  // What the user typed may be in another encoding than UTF-8.
  return body.dump(-1, ' ', /*ensure_ascii=*/false, ordered_json::error_handler_t::replace);
}

absl::StatusOr<ChatClient::Answer> ChatClient::Send(const std::string& text,
                                                    const Receiver& receiver) {
  HttpRequest request = Request("POST", "/chat/completions");
  request.body = Body(text);
  AnswerReader reader(receiver);
  VALLM_ASSIGN_OR_RETURN(
      const HttpReply reply,
      SendHttp(request, [&reader](std::string_view bytes) { return reader.Take(bytes); }));
  if (reply.status != 200) return ReplyError(reply);
  VALLM_ASSIGN_OR_RETURN(Answer answer, reader.Finish());
  turns_.push_back({.user = text, .assistant = answer.content});
  return answer;
}

}  // namespace vallm::tools
