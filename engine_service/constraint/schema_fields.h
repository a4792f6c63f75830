// Reading single keywords of a JSON schema, with messages that name the path and the keyword.
#ifndef VALLM_ENGINE_SERVICE_CONSTRAINT_SCHEMA_FIELDS_H_
#define VALLM_ENGINE_SERVICE_CONSTRAINT_SCHEMA_FIELDS_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "engine_service/constraint/number_range.h"
#include "nlohmann/json_fwd.hpp"

namespace vallm::engine {

// One step of a JSON pointer inside a URI fragment: "%25", "~1" and "~0" undone.
std::string UnescapePointer(const std::string& step);
// One step of a pointer escaped, for paths in messages.
std::string EscapePointer(const std::string& step);
// The member or item of `value` with that name; nullptr if there is none.
const nlohmann::ordered_json* ChildOf(const nlohmann::ordered_json& value, const std::string& name);

// REQUIRES: `schema` has the key. Errors: INVALID_ARGUMENT if it is no string.
absl::StatusOr<std::string> StringField(const nlohmann::ordered_json& schema, const char* key,
                                        const std::string& path);
// A count, >= 0, or `absent`. Errors: INVALID_ARGUMENT if it is none or above 10^9.
absl::StatusOr<int> CountField(const nlohmann::ordered_json& schema, const char* key, int absent,
                               const std::string& path);

// The bounds that the number keywords of `schema` say.
struct NumberBounds {
  std::optional<DecimalBound> low;
  std::optional<DecimalBound> high;
};
// Errors: INVALID_ARGUMENT if a bound is no number; UNIMPLEMENTED beyond 30 digits.
absl::StatusOr<NumberBounds> BoundsOf(const nlohmann::ordered_json& schema,
                                      const std::string& path);
// The least integer that `bound` allows as a lower bound, or the greatest as an upper one.
Int128 IntegerBound(const DecimalBound& bound, bool is_low);

// The decimal digits of a JSON number. Errors: as of BoundsOf.
absl::StatusOr<DecimalBound> DecimalOf(const nlohmann::ordered_json& number, const char* key,
                                       const std::string& path);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_CONSTRAINT_SCHEMA_FIELDS_H_
