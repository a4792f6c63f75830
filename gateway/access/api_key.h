// API keys as they are configured, and the file they come from (docs/security.md has its format).
#ifndef VALLM_GATEWAY_ACCESS_API_KEY_H_
#define VALLM_GATEWAY_ACCESS_API_KEY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gateway/access/key_hash.h"
#include "gateway/access/key_meter.h"

namespace vallm::gateway {

struct ApiKey {
  std::string name;  // what logs and metrics call it
  KeyHash hash;
  KeyLimits limits;
  // Of its requests, unless they ask for less: nobody raises his own. Absent: what they ask for.
  std::optional<int32_t> priority;
  absl::Time expires = absl::InfiniteFuture();
};

// Errors: INVALID_ARGUMENT that names the entry and the field, never a key.
absl::StatusOr<std::vector<ApiKey>> ParseKeyFile(const std::string& yaml);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ACCESS_API_KEY_H_
