// The management port of a deployment's gateway: what the commands ask of it.
#ifndef VALLM_TOOLS_DEPLOY_GATEWAY_ADMIN_H_
#define VALLM_TOOLS_DEPLOY_GATEWAY_ADMIN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace vallm::tools {

struct GatewayInstance {
  std::string id;
  std::string address;
  bool serving = false;     // gets requests
  std::string state;        // as the engine says
  std::string admin_state;  // "enabled", "draining", "drained" or "removing"
  int in_flight = 0;        // requests of this gateway
  int max = 0;
  int running = 0;
  int waiting = 0;
  int64_t free_kv_blocks = 0;
  int64_t total_kv_blocks = 0;
  double tokens_per_second = 0;
};

class GatewayAdmin {
 public:
  // `origin`: "http://127.0.0.1:9000". Empty key: none.
  GatewayAdmin(std::string origin, std::string key)
      : origin_(std::move(origin)), key_(std::move(key)) {}

  // Errors of all: UNAVAILABLE when the port does not answer, NOT_FOUND, PERMISSION_DENIED,
  // FAILED_PRECONDITION otherwise, with the gateway's message.
  absl::StatusOr<std::vector<GatewayInstance>> Instances() const;
  // The one at `address`. Also NOT_FOUND when the gateway knows none there.
  absl::StatusOr<GatewayInstance> InstanceAt(const std::string& address) const;
  // Takes an instance out of service, and back.
  absl::Status Drain(const std::string& id) const;
  absl::Status Enable(const std::string& id) const;

 private:
  absl::StatusOr<std::string> Send(const char* method, const std::string& path) const;

  const std::string origin_;
  const std::string key_;
};

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DEPLOY_GATEWAY_ADMIN_H_
