// The conjunction of two JSON schemas as one schema: what "allOf" means, and a keyword beside
// "$ref" or "anyOf". References must have been resolved.
#ifndef VALLM_ENGINE_SERVICE_CONSTRAINT_SCHEMA_MERGE_H_
#define VALLM_ENGINE_SERVICE_CONSTRAINT_SCHEMA_MERGE_H_

#include <string>

#include "absl/status/statusor.h"
#include "nlohmann/json_fwd.hpp"

namespace vallm::engine {

// A schema that holds exactly where both do. What cannot hold together becomes the schema `false`;
// conjunctions further inside are left as "allOf".
// Errors: UNIMPLEMENTED if a keyword of both cannot be joined, RESOURCE_EXHAUSTED if
// alternatives multiply too far; the message names the keyword and `path`.
absl::StatusOr<nlohmann::ordered_json> MergeSchemas(const nlohmann::ordered_json& a,
                                                    const nlohmann::ordered_json& b,
                                                    const std::string& path);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_CONSTRAINT_SCHEMA_MERGE_H_
