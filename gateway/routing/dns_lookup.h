// What a name of DNS stands for: the pods behind a Kubernetes headless service, for one.
#ifndef VALLM_GATEWAY_ROUTING_DNS_LOOKUP_H_
#define VALLM_GATEWAY_ROUTING_DNS_LOOKUP_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/routing/instance_address.h"

namespace vallm::gateway {

// The A and AAAA records of `name.host` as addresses of `name.port`, sorted, without duplicates.
// Blocks for as long as the resolver does: many seconds when no name server answers.
// Errors: NOT_FOUND when there is no such name or it has no address, UNAVAILABLE otherwise.
absl::StatusOr<std::vector<std::string>> LookUp(const HostAndPort& name);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTING_DNS_LOOKUP_H_
