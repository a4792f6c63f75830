// A live server, as the checks ask it: JSON over HTTP, whole answers and streams. Thread-safe.
#ifndef VALLM_TOOLS_DOCTOR_ENDPOINT_H_
#define VALLM_TOOLS_DOCTOR_ENDPOINT_H_

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace vallm::tools {

// What a chat answered, with nothing of how it came.
struct ChatAnswer {
  std::string reasoning;
  std::string content;
  std::string tool_calls;  // name(arguments), one a line
  std::string finish_reason;
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;

  bool operator==(const ChatAnswer&) const = default;
};

class Endpoint {
 public:
  // `origin`: "http://host:port".
  Endpoint(std::string origin, std::string api_key)
      : origin_(std::move(origin)), api_key_(std::move(api_key)) {}

  // Errors of all: those of SendHttp; FAILED_PRECONDITION for a status other than 200, with the
  // server's message, and for a body that is not what it should be.
  absl::StatusOr<nlohmann::json> Get(const std::string& path) const;
  absl::StatusOr<nlohmann::json> Post(const std::string& path, const nlohmann::json& body) const;
  absl::StatusOr<ChatAnswer> Chat(const nlohmann::json& body) const;
  // The same from a stream; `first` is the time to its first event that says something.
  absl::StatusOr<ChatAnswer> StreamChat(nlohmann::json body, absl::Duration* first) const;

  // The HTTP status of a request, whatever it is, and the error's code.
  struct Refusal {
    int status = 0;
    std::string code;
  };
  absl::StatusOr<Refusal> Try(const std::string& path, const nlohmann::json& body) const;

  const std::string& origin() const { return origin_; }

 private:
  const std::string origin_;
  const std::string api_key_;
};

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DOCTOR_ENDPOINT_H_
