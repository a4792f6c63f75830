// The engine's refusal of a request, put in the words of the client.
#ifndef VALLM_GATEWAY_ROUTES_ENGINE_REFUSAL_H_
#define VALLM_GATEWAY_ROUTES_ENGINE_REFUSAL_H_

#include <string>

#include "absl/status/status.h"

namespace vallm::gateway {

// The engine's messages begin with the field at fault ("logit_bias has id 151936; ..."). Where the
// API has a parameter of that name the status gets it; the prompt's is called `prompt_param` there.
absl::Status NameTheParameter(const absl::Status& status, const std::string& prompt_param);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTES_ENGINE_REFUSAL_H_
