// One row of JSON Lines input: a JSON object whose members are taken out one by one, typed or as
// the text they were written in. Text matters where a row travels on: numbers beyond 64 bits, the
// difference of 1 and 1.0 and the order of keys survive. A member that is malformed fails when it
// is asked for, and only then, so that a row with one bad field can still be answered by its id.
//
// Immutable; copies are cheap enough for rows.
#ifndef VALLM_TOOLS_JSONL_JSON_ROW_H_
#define VALLM_TOOLS_JSONL_JSON_ROW_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace vallm::tools {

class JsonRow {
 public:
  // Splits an object into its members. Errors: INVALID_ARGUMENT when `text` is not one JSON object,
  // with the offset.
  static absl::StatusOr<JsonRow> Parse(std::string_view text);

  // Name and JSON text of the members, in order; of a name given twice only the last.
  const std::vector<std::pair<std::string, std::string>>& members() const { return members_; }

  // The JSON text of a member; "" when it is absent.
  std::string_view Raw(std::string_view name) const;
  // Present and not null.
  bool Has(std::string_view name) const;

  // The value of a member that must be there. Errors: INVALID_ARGUMENT naming the member when it is
  // absent, null, malformed (a lone surrogate included), of another type or out of range.
  absl::StatusOr<std::string> String(std::string_view name) const;
  absl::StatusOr<std::vector<int32_t>> Ids(std::string_view name) const;
  absl::StatusOr<std::vector<std::string>> Strings(std::string_view name) const;
  absl::StatusOr<JsonRow> Object(std::string_view name) const;

  // The value of a member that may be absent or null. Errors: the same.
  absl::StatusOr<std::optional<std::string>> OptionalString(std::string_view name) const;
  absl::StatusOr<std::optional<bool>> OptionalBool(std::string_view name) const;
  absl::StatusOr<std::optional<double>> OptionalNumber(std::string_view name) const;
  absl::StatusOr<std::optional<int64_t>> OptionalInt(std::string_view name) const;

 private:
  std::vector<std::pair<std::string, std::string>> members_;
};

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_JSONL_JSON_ROW_H_
