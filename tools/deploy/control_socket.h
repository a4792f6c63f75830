// How the commands talk to the supervisor of a deployment: a Unix socket in its directory, which
// only the owner may enter. A call is one JSON object in a line, the answer is another.
#ifndef VALLM_TOOLS_DEPLOY_CONTROL_SOCKET_H_
#define VALLM_TOOLS_DEPLOY_CONTROL_SOCKET_H_

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace vallm::tools {

// The supervisor's end. Not thread-safe.
class ControlServer {
 public:
  // Listens in `directory`, taking the place of a dead server. Errors: FAILED_PRECONDITION.
  static absl::StatusOr<std::unique_ptr<ControlServer>> Listen(const std::string& directory);
  // Removes the socket.
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  // Answers the calls that wait; returns at once if there are none. A caller that does not send or
  // take a line within a second is dropped.
  void Serve(const std::function<nlohmann::ordered_json(const nlohmann::ordered_json&)>& answer);

 private:
  ControlServer(int directory_fd, int fd) : directory_fd_(directory_fd), fd_(fd) {}

  const int directory_fd_;
  const int fd_;
};

// Calls the supervisor of `directory`. Errors: UNAVAILABLE when none listens there,
// DEADLINE_EXCEEDED, INTERNAL for an answer that is no JSON object.
absl::StatusOr<nlohmann::ordered_json> CallSupervisor(const std::string& directory,
                                                      const nlohmann::ordered_json& call,
                                                      absl::Duration timeout = absl::Seconds(5));

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DEPLOY_CONTROL_SOCKET_H_
