// Reading typed, range-checked fields of a JSON object with errors that name the field and its
// value.
#ifndef VALLM_ENGINE_SERVICE_MODEL_JSON_FIELDS_H_
#define VALLM_ENGINE_SERVICE_MODEL_JSON_FIELDS_H_

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vallm::engine {

// A view of one JSON object. `where` names it in errors, e.g. "config.json".
class JsonFields {
 public:
  JsonFields(const nlohmann::json& object, std::string_view where)
      : object_(object), where_(where) {}

  // The field's value, or null if it is absent or JSON null.
  const nlohmann::json* Find(const char* name) const;

  absl::StatusOr<int64_t> Int(const char* name, int64_t min, int64_t max) const;
  absl::StatusOr<double> Number(const char* name, double min, double max) const;
  absl::StatusOr<std::string> String(const char* name) const;

  absl::StatusOr<int64_t> IntOr(const char* name, int64_t min, int64_t max, int64_t fallback) const;
  absl::StatusOr<double> NumberOr(const char* name, double min, double max, double fallback) const;
  absl::StatusOr<bool> BoolOr(const char* name, bool fallback) const;
  // Absent: an empty list. A single integer is a list of one.
  absl::StatusOr<std::vector<int32_t>> Ints(const char* name, int64_t min, int64_t max) const;
  absl::StatusOr<std::vector<std::string>> Strings(const char* name) const;

  // UNIMPLEMENTED if the object has a field that is not listed.
  absl::Status OnlyHas(std::initializer_list<std::string_view> names) const;

  // "config.json: field 'x' is 3: <problem>"
  absl::Status Invalid(const char* name, std::string_view problem) const;
  absl::Status Unsupported(const char* name, std::string_view problem) const;

 private:
  std::string Describe(const char* name, std::string_view problem) const;

  const nlohmann::json& object_;
  std::string where_;
};

// Parses text that must be one JSON object. Errors: INVALID_ARGUMENT.
absl::StatusOr<nlohmann::json> ParseJsonObject(std::string_view text, std::string_view where);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_MODEL_JSON_FIELDS_H_
