// One question to an OpenAI chat endpoint, with retries. Thread-safe.
#ifndef VALLM_TOOLS_EVAL_RUN_CHAT_REQUEST_H_
#define VALLM_TOOLS_EVAL_RUN_CHAT_REQUEST_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tools/eval/datasets/dataset.h"

namespace vallm::eval {

struct ChatReply {
  ModelOutput output;
  std::string finish_reason;
  std::vector<int32_t> token_ids;  // where the server gave them
  std::optional<int64_t> prompt_tokens;
  std::optional<int64_t> completion_tokens;
  absl::Duration latency;  // of the attempt that succeeded
  int attempts = 1;
};

struct ChatEndpoint {
  std::string origin;   // "http://host:port"
  std::string path;     // "/v1/chat/completions"
  std::string api_key;  // empty or EMPTY: no Authorization header
  absl::Duration timeout;
  int retries = 0;
  absl::Duration retry_interval;      // doubles, up to 30 s
  std::function<bool()> interrupted;  // true: give up, also in the middle of an answer
};

// `api_url` as configurations write it: the whole path, or up to /v1, or the host alone.
// Errors: INVALID_ARGUMENT.
absl::StatusOr<ChatEndpoint> ParseApiUrl(const std::string& api_url);

// Sends `body`; with "stream" in it, reads a stream. What may pass is tried again: no connection, a
// broken one, a timeout, 408, 409, 425, 429 and 5xx. Errors: those of the last attempt, with the
// server's words; CANCELLED when interrupted.
absl::StatusOr<ChatReply> AskChat(const ChatEndpoint& endpoint, const nlohmann::ordered_json& body);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_RUN_CHAT_REQUEST_H_
