// Addresses of instances: "host:port", "[ipv6]:port" or "unix:/path".
#ifndef VALLM_GATEWAY_ROUTING_INSTANCE_ADDRESS_H_
#define VALLM_GATEWAY_ROUTING_INSTANCE_ADDRESS_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace vallm::gateway {

struct HostAndPort {
  std::string host;  // without brackets
  int port = 0;      // 1 to 65535
};

// Errors: INVALID_ARGUMENT quoting the text.
absl::StatusOr<HostAndPort> ParseHostAndPort(std::string_view text);
// Whether a client can be told to connect there. Errors: INVALID_ARGUMENT quoting the address.
absl::Status CheckInstanceAddress(std::string_view address);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTING_INSTANCE_ADDRESS_H_
