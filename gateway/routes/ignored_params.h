// Parameters that were accepted without effect: named in x-ignored-params, or refused where strict.
#ifndef VALLM_GATEWAY_ROUTES_IGNORED_PARAMS_H_
#define VALLM_GATEWAY_ROUTES_IGNORED_PARAMS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gateway/http_message.h"
#include "gateway/options.h"

namespace vallm::gateway {

// Whether none may be ignored is said by the header x-strict-params, true or false, and else by
// options.strict_params. Errors: INVALID_ARGUMENT naming the parameters, or that header.
absl::Status CheckIgnored(const GatewayOptions& options, const HttpRequest& request,
                          const std::vector<std::string>& ignored);

// Adds x-ignored-params unless there are none. Names come from the client: only harmless ones are
// repeated, and not without end; the others are counted: "a,b,+2 more".
void AddIgnoredHeader(const std::vector<std::string>& ignored, HttpHeaders* headers);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTES_IGNORED_PARAMS_H_
