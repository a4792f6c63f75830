// A conversation with a chat completions endpoint: keeps the messages, streams the answers. One
// thread at a time.
#ifndef VALLM_TOOLS_CHAT_CHAT_CLIENT_H_
#define VALLM_TOOLS_CHAT_CHAT_CLIENT_H_

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/http/http_client.h"

namespace vallm::tools {

struct ChatOptions {
  std::string url = "http://127.0.0.1:8000/v1";  // without a path: /v1
  std::string api_key;
  std::string model;   // empty: the first that the server lists
  std::string system;  // empty: no system message
  bool think = true;
  std::optional<double> temperature;  // default: the server's
  std::optional<int> max_tokens;      // default: what fits
};

class ChatClient {
 public:
  // Asks the server for its models when `options` names none.
  // Errors: INVALID_ARGUMENT for a bad URL; those of the server, with its own message.
  static absl::StatusOr<ChatClient> Connect(ChatOptions options);

  const std::string& model() const { return options_.model; }

  struct Answer {
    std::string content;
    std::string finish_reason;  // empty when it was broken off
  };
  // Called with each piece of the answer; returns false to break it off.
  using Receiver = std::function<bool(bool thinking, std::string_view text)>;

  // Sends `text` after what was said so far and streams the answer. The exchange becomes part of
  // the conversation unless it fails. Errors: those of the server, also in the middle of the
  // answer.
  absl::StatusOr<Answer> Send(const std::string& text, const Receiver& receiver);

  // Forgets the conversation.
  void Reset() { turns_.clear(); }

 private:
  struct Turn {
    std::string user;
    std::string assistant;
  };

  ChatClient(ChatOptions options, Url url) : options_(std::move(options)), url_(std::move(url)) {}
  HttpRequest Request(const char* method, const std::string& path) const;
  std::string Body(const std::string& text) const;

  ChatOptions options_;
  Url url_;
  std::vector<Turn> turns_;
};

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_CHAT_CHAT_CLIENT_H_
