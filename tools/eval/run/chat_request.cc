#include "tools/eval/run/chat_request.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status_macros.h"
#include "tools/chat/sse_parser.h"
#include "tools/http/http_client.h"

namespace vallm::eval {
namespace {

using nlohmann::ordered_json;
using tools::HttpReply;
using tools::HttpRequest;

constexpr absl::Duration kLongestWait = absl::Seconds(30);

ordered_json ParseJson(const std::string& text) {
  return ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
}

std::string ErrorMessage(const std::string& body) {
  const ordered_json json = ParseJson(body);
  if (json.is_object() && json.contains("error")) {
    const ordered_json& error = json["error"];
    const std::string message =
        error.is_string() ? error.get<std::string>() : TextMember(error, "message");
    if (!message.empty()) return message;
  }
  if (json.is_object() && !TextMember(json, "message").empty()) return TextMember(json, "message");
  return body.empty() ? "no explanation given" : body.substr(0, 500);
}

absl::Status HttpFailure(const HttpReply& reply) {
  const std::string message =
      absl::StrCat("the server answered ", reply.status, ": ", ErrorMessage(reply.body));
  switch (reply.status) {
    case 401:
    case 403:
      return absl::UnauthenticatedError(message + " (see api_key)");
    case 404:
      return absl::NotFoundError(message + " (see api_url and model)");
    case 408:
    case 409:
    case 425:
    case 429:
      return absl::UnavailableError(message);
    default:
      return reply.status >= 500 ? absl::UnavailableError(message)
                                 : absl::InvalidArgumentError(message);
  }
}

void TakeCount(const ordered_json& usage, const char* name, std::optional<int64_t>* count) {
  if (usage.is_object() && usage.contains(name) && usage[name].is_number_integer()) {
    *count = usage[name].get<int64_t>();
  }
}

void TakeTokenIds(const ordered_json& choice, std::vector<int32_t>* ids) {
  const auto found = choice.find("token_ids");
  if (found == choice.end() || !found->is_array()) return;
  for (const ordered_json& id : *found) {
    if (id.is_number_integer()) ids->push_back(id.get<int32_t>());
  }
}

// Puts the pieces of an answer together, whole messages as well as deltas.
class ReplyBuilder {
 public:
  absl::Status Take(const ordered_json& json) {
    if (!json.is_object()) return absl::UnavailableError("the answer is no JSON object");
    if (json.contains("error") && !json["error"].is_null()) {
      return absl::UnavailableError("the server broke off: " + ErrorMessage(json.dump()));
    }
    if (json.contains("usage")) {
      TakeCount(json["usage"], "prompt_tokens", &reply_.prompt_tokens);
      TakeCount(json["usage"], "completion_tokens", &reply_.completion_tokens);
    }
    const auto choices = json.find("choices");
    if (choices == json.end() || !choices->is_array() || choices->empty()) return absl::OkStatus();
    const ordered_json& choice = choices->front();
    if (!choice.is_object()) return absl::OkStatus();
    answered_ = true;
    const std::string reason = TextMember(choice, "finish_reason");
    if (!reason.empty()) reply_.finish_reason = reason;
    TakeTokenIds(choice, &reply_.token_ids);
    for (const char* name : {"delta", "message"}) {
      if (choice.contains(name) && choice[name].is_object()) TakeMessage(choice[name]);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<ChatReply> Finish() {
    if (!answered_) return absl::UnavailableError("the answer has no choices");
    if (!calls_.empty()) reply_.output.tool_calls = ShareJson(std::move(calls_));
    return std::move(reply_);
  }

 private:
  void TakeMessage(const ordered_json& message) {
    reply_.output.content += TextMember(message, "content");
    // vLLM's newer name and DeepSeek's.
    const std::string reasoning = TextMember(message, "reasoning_content");
    reply_.output.reasoning += reasoning.empty() ? TextMember(message, "reasoning") : reasoning;
    if (!message.contains("tool_calls") || !message["tool_calls"].is_array()) return;
    for (const ordered_json& piece : message["tool_calls"]) {
      size_t index = calls_.size();
      if (piece.contains("index") && piece["index"].is_number_unsigned()) {
        index = piece["index"].get<size_t>();
      }
      if (index > calls_.size()) continue;
      if (index == calls_.size()) {
        calls_.push_back({{"type", "function"}, {"function", {{"name", ""}, {"arguments", ""}}}});
      }
      if (!piece.contains("function")) continue;
      ordered_json& function = calls_[index]["function"];
      for (const char* part : {"name", "arguments"}) {
        function[part] = TextMember(function, part) + TextMember(piece["function"], part);
      }
    }
  }

  ChatReply reply_;
  ordered_json calls_ = ordered_json::array();
  bool answered_ = false;
};

absl::StatusOr<ChatReply> AskOnce(const ChatEndpoint& endpoint, const HttpRequest& request,
                                  bool stream) {
  ReplyBuilder builder;
  tools::SseParser sse;
  absl::Status status;
  bool done = false;
  std::string whole;
  const absl::Time begin = absl::Now();
  VALLM_ASSIGN_OR_RETURN(const HttpReply reply,
                         tools::SendHttp(request, [&](std::string_view bytes) {
                           if (endpoint.interrupted && endpoint.interrupted()) {
                             status = absl::CancelledError("interrupted");
                           } else if (!stream) {
                             whole.append(bytes);
                           } else {
                             for (const std::string& event : sse.Feed(bytes)) {
                               done = done || event == "[DONE]";
                               if (done || !status.ok()) break;
                               status = builder.Take(ParseJson(event));
                             }
                           }
                           return status.ok();
                         }));
  VALLM_RETURN_IF_ERROR(status);
  if (reply.status != 200) return HttpFailure(reply);
  if (stream && !done) return absl::UnavailableError("the stream ended too early");
  if (!stream) {
    VALLM_RETURN_IF_ERROR(builder.Take(ParseJson(whole)));
  }
  VALLM_ASSIGN_OR_RETURN(ChatReply answer, builder.Finish());
  answer.latency = absl::Now() - begin;
  return answer;
}

bool MayPass(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

// Waits, but not on when interrupted.
void Wait(absl::Duration duration, const ChatEndpoint& endpoint) {
  const absl::Time end = absl::Now() + duration;
  while (absl::Now() < end && !(endpoint.interrupted && endpoint.interrupted())) {
    absl::SleepFor(std::min(absl::Milliseconds(50), end - absl::Now()));
  }
}

}  // namespace

absl::StatusOr<ChatEndpoint> ParseApiUrl(const std::string& api_url) {
  VALLM_ASSIGN_OR_RETURN(const tools::Url url, tools::ParseUrl(api_url));
  ChatEndpoint endpoint{.origin = url.origin,
                        .path = url.path.empty() ? "/v1" : url.path,
                        .api_key = "",
                        .timeout = absl::Hours(1),
                        .retries = 0,
                        .retry_interval = absl::Seconds(1),
                        .interrupted = nullptr};
  constexpr char kChat[] = "/chat/completions";
  if (!absl::EndsWith(endpoint.path, kChat)) endpoint.path += kChat;
  return endpoint;
}

absl::StatusOr<ChatReply> AskChat(const ChatEndpoint& endpoint, const ordered_json& body) {
  HttpRequest request;
  request.method = "POST";
  request.origin = endpoint.origin;
  request.path = endpoint.path;
  if (endpoint.api_key != "EMPTY") request.bearer_token = endpoint.api_key;
  request.body = body.dump(-1, ' ', /*ensure_ascii=*/false, ordered_json::error_handler_t::replace);
  request.read_timeout = endpoint.timeout;
  const bool stream = TextMember(body, "stream") == "true";
  thread_local std::minstd_rand random(std::random_device{}());
  absl::Duration wait = endpoint.retry_interval;
  for (int attempt = 1;; ++attempt) {
    if (endpoint.interrupted && endpoint.interrupted()) return absl::CancelledError("interrupted");
    auto reply = AskOnce(endpoint, request, stream);
    if (reply.ok()) {
      reply->attempts = attempt;
      return reply;
    }
    if (!MayPass(reply.status()) || attempt > endpoint.retries) {
      if (attempt == 1) return reply.status();
      return absl::Status(reply.status().code(), absl::StrCat(reply.status().message(), " (after ",
                                                              attempt, " attempts)"));
    }
    // A random part keeps requests that failed together from coming back together.
    Wait(wait * std::uniform_real_distribution<double>(0.5, 1.0)(random), endpoint);
    wait = std::min(wait * 2, kLongestWait);
  }
}

}  // namespace vallm::eval
