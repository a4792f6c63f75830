// The file that names instances: a YAML (or JSON) list of addresses, or of maps with an `address`.
//
//   - 10.0.0.7:50051
//   - {address: "unix:/run/vallm/engine-1"}
#ifndef VALLM_GATEWAY_ROUTING_INSTANCES_FILE_H_
#define VALLM_GATEWAY_ROUTING_INSTANCES_FILE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace vallm::gateway {

// Errors: INVALID_ARGUMENT saying what is wrong with which entry. An empty text is one: a list
// without entries is [].
absl::StatusOr<std::vector<std::string>> ParseInstances(const std::string& text);

// Errors also: those of ReadFile. All name the file.
absl::StatusOr<std::vector<std::string>> ReadInstancesFile(const std::string& path);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTING_INSTANCES_FILE_H_
