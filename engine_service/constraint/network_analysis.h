// What a network's edges imply: which nodes take something, which only end their rule, how deep
// calls must go to reach an end, and that no rule calls itself before taking anything.
#ifndef VALLM_ENGINE_SERVICE_CONSTRAINT_NETWORK_ANALYSIS_H_
#define VALLM_ENGINE_SERVICE_CONSTRAINT_NETWORK_ANALYSIS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "engine_service/constraint/network.h"

namespace vallm::engine {

// Fills `consumes`, `tail` and `need` of every node. `rule_starts` and `rule_names` list all rules.
// Errors: INVALID_ARGUMENT for left recursion, naming the rule, and if nothing matches the root.
absl::Status AnalyseNetwork(const std::vector<int32_t>& rule_starts,
                            const std::vector<std::string>& rule_names, Network* network);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_CONSTRAINT_NETWORK_ANALYSIS_H_
