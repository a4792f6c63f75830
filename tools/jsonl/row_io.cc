#include "tools/jsonl/row_io.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace vallm::tools {
namespace {

using nlohmann::ordered_json;

bool IsBlank(const std::string& line) {
  return line.find_first_not_of(" \t\r") == std::string::npos;
}

}  // namespace

std::string OutputRow(std::string_view raw_id, const ordered_json& body) {
  std::string members =
      body.dump(-1, ' ', /*ensure_ascii=*/false, ordered_json::error_handler_t::replace);
  // These three can only stand in strings. Splitting lines by Unicode's rules would cut there.
  absl::StrReplaceAll({{"\u2028", "\\u2028"}, {"\u2029", "\\u2029"}, {"\u0085", "\\u0085"}},
                      &members);
  std::string row = "{\"id\":";
  row.append(raw_id.empty() ? "null" : raw_id);
  if (members != "{}") row += ",";
  row.append(members, 1);
  return row;
}

std::string ErrorRow(std::string_view raw_id, const absl::Status& error) {
  return OutputRow(raw_id, {{"error", std::string(error.message())}});
}

RowCounts AnswerRows(std::istream& in, std::ostream& out,
                     const std::function<absl::StatusOr<ordered_json>(const JsonRow&)>& handle) {
  RowCounts counts;
  int64_t line_number = 0;
  for (std::string line; std::getline(in, line, '\n');) {
    ++line_number;
    if (IsBlank(line)) continue;
    ++counts.rows;
    const absl::StatusOr<JsonRow> row = JsonRow::Parse(line);
    absl::StatusOr<ordered_json> answer =
        row.ok() ? handle(*row)
                 : absl::InvalidArgumentError(
                       absl::StrCat("line ", line_number, ": ", row.status().message()));
    const std::string_view raw_id = row.ok() ? row->Raw("id") : std::string_view();
    if (!answer.ok()) ++counts.failed;
    out << (answer.ok() ? OutputRow(raw_id, *answer) : ErrorRow(raw_id, answer.status())) << '\n'
        << std::flush;
    if (!out) break;  // nobody reads any more
  }
  return counts;
}

}  // namespace vallm::tools
