// The command line of vallm-gateway.
#ifndef VALLM_GATEWAY_GATEWAY_FLAGS_H_
#define VALLM_GATEWAY_GATEWAY_FLAGS_H_

#include <optional>
#include <string>

#include "gateway/options.h"

namespace vallm::gateway {

struct GatewayFlags {
  GatewayOptions options;
  std::string log_dir;
};

// Fills `flags`. Returns the exit code when the process should end now.
std::optional<int> ParseGatewayFlags(int argc, char** argv, GatewayFlags* flags);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_GATEWAY_FLAGS_H_
