// The rows of a data file: JSON Lines, a JSON array, CSV or Parquet, told apart by the name's end.
#ifndef VALLM_TOOLS_EVAL_DATA_ROWS_H_
#define VALLM_TOOLS_EVAL_DATA_ROWS_H_

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace vallm::eval {

// A JSON value that is shared and never changed.
using JsonRef = std::shared_ptr<const nlohmann::ordered_json>;
// Each is an object.
using Rows = std::vector<JsonRef>;

JsonRef ShareJson(nlohmann::ordered_json value);

// The ends of names that LoadRows reads, with their dots.
inline constexpr std::string_view kRowFileEnds[] = {".jsonl", ".json", ".csv", ".parquet"};

// Errors: NOT_FOUND, INVALID_ARGUMENT with the file and the line for what is malformed.
absl::StatusOr<Rows> LoadRows(const std::string& path);

absl::StatusOr<std::string> ReadFile(const std::string& path);

// The rows of comma-separated values with a header: every value is a string. Values may be quoted
// and then hold commas, quotes (doubled) and line breaks. Missing values at the end of a row are
// left out, surplus ones ignored, as Python's csv and zip do.
absl::StatusOr<Rows> ParseCsv(std::string_view text);

absl::StatusOr<Rows> ParseJsonLines(std::string_view text);

// A string member, or one of a number or boolean in its JSON text; "" when absent or null.
std::string TextMember(const nlohmann::ordered_json& row, std::string_view name);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_DATA_ROWS_H_
