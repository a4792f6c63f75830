// Reads a JSON object strictly: every getter checks the type, and an error names the field by its
// full path ("messages[2].content"). Remembers which fields were asked for, so that the rest can be
// reported.
//
// Thread-compatible. Views the JSON value, which must outlive the reader and stay as it is.
#ifndef VALLM_GATEWAY_OPENAI_JSON_OBJECT_H_
#define VALLM_GATEWAY_OPENAI_JSON_OBJECT_H_

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace vallm::gateway {

// Parses a request body that must be a JSON object.
// Errors: INVALID_ARGUMENT for what is not UTF-8 or not JSON (with the byte offset), for another
// kind of value, for a member that is there twice (named), for nesting deeper than 128 levels
// (writing it out again would recurse), and for an object, however deep, of more than 1024 members
// (finding one is linear).
absl::StatusOr<nlohmann::ordered_json> ParseJsonObject(std::string_view body);

class JsonObject {
 public:
  // `prefix` precedes field names in errors: "" at the top level, "tools[0].function." below.
  // REQUIRES: `object` is a JSON object.
  JsonObject(const nlohmann::ordered_json& object, std::string prefix);

  // The field, or nullptr when it is absent or null.
  const nlohmann::ordered_json* Find(std::string_view name);

  // The field's value; nullopt when it is absent or null. Errors: INVALID_ARGUMENT naming the field
  // for a wrong type or a value outside [min, max].
  absl::StatusOr<std::optional<bool>> Bool(std::string_view name);
  absl::StatusOr<std::optional<int64_t>> Integer(std::string_view name, int64_t min, int64_t max);
  absl::StatusOr<std::optional<double>> Number(std::string_view name, double min, double max);
  absl::StatusOr<std::optional<std::string>> String(std::string_view name);
  // A string or an array of strings.
  absl::StatusOr<std::vector<std::string>> Strings(std::string_view name);
  absl::StatusOr<std::vector<int32_t>> TokenIds(std::string_view name);

  // Whether the object has the field and a getter has asked for it.
  bool IsRead(std::string_view name) const;
  // The names that no getter asked for, in the object's order.
  std::vector<std::string> Unread() const;

  // `prefix` + `name`, as errors say it.
  std::string PathOf(std::string_view name) const;

 private:
  // Where the object has the field; its number of fields when it has none.
  size_t IndexOf(std::string_view name) const;

  const nlohmann::ordered_json& object_;
  const std::string prefix_;
  std::vector<bool> read_;  // by field: a request asks for a hundred that it does not have
};

// "a string", "an array", …: what `value` is, for error messages.
std::string_view KindOf(const nlohmann::ordered_json& value);

// A 400 for the field `path`: it must be `expected` ("a string"), but is `value`.
absl::Status WrongType(std::string_view path, std::string_view expected,
                       const nlohmann::ordered_json& value);

// A 400 for a field that must be there.
absl::Status MissingField(std::string_view path);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_OPENAI_JSON_OBJECT_H_
