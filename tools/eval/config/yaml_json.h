// A YAML document as JSON.
#ifndef VALLM_TOOLS_EVAL_CONFIG_YAML_JSON_H_
#define VALLM_TOOLS_EVAL_CONFIG_YAML_JSON_H_

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/status/statusor.h"

namespace vallm::eval {

// Plain scalars become null, booleans, integers and numbers where they look like it; quoted ones
// stay strings. Errors: INVALID_ARGUMENT with line and column; also for a key given twice.
absl::StatusOr<nlohmann::ordered_json> YamlToJson(const std::string& yaml);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_CONFIG_YAML_JSON_H_
