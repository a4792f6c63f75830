// The member "constraint" of a row of `vallm generate`.
#ifndef VALLM_TOOLS_GENERATE_CONSTRAINT_FIELD_H_
#define VALLM_TOOLS_GENERATE_CONSTRAINT_FIELD_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "engine_service/request.h"

namespace vallm::tools {

// Reads one of {"json_object": true}, {"json_schema": SCHEMA}, {"regex": TEXT}, {"choice": [TEXT,
// ...]}, {"grammar": TEXT}, {"tools": [TOOL, ...], "tool_name": NAME, "parallel_tool_calls": BOOL};
// beside each may stand "start": "answer" (the default), "maybe_thinking" or "thinking".
// Errors: INVALID_ARGUMENT naming the member.
absl::StatusOr<engine::RequestConstraint> ParseConstraintField(std::string_view json);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_GENERATE_CONSTRAINT_FIELD_H_
