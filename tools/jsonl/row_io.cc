#include "tools/jsonl/row_io.h"

#include <atomic>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tools/jsonl/ordered_rows.h"

namespace vallm::tools {
namespace {

using nlohmann::ordered_json;

// Large enough that threads seldom wait for each other, small enough to share out uneven rows.
constexpr int kRowsAtOnce = 32;

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

RowCounts AnswerRows(std::istream& in, std::ostream& out, int threads,
                     const std::function<absl::StatusOr<ordered_json>(const JsonRow&)>& handle) {
  std::atomic<int64_t> rows = 0;
  std::atomic<int64_t> failed = 0;
  const auto answer_line = [&](const std::string& line, int64_t line_number) {
    ++rows;
    const absl::StatusOr<JsonRow> row = JsonRow::Parse(line);
    absl::StatusOr<ordered_json> answer =
        row.ok() ? handle(*row)
                 : absl::InvalidArgumentError(
                       absl::StrCat("line ", line_number, ": ", row.status().message()));
    const std::string_view raw_id = row.ok() ? row->Raw("id") : std::string_view();
    if (!answer.ok()) ++failed;
    return answer.ok() ? OutputRow(raw_id, *answer) : ErrorRow(raw_id, answer.status());
  };
  ForEachRowInOrder(in, out, {.concurrency = threads, .batch = kRowsAtOnce, .progress = nullptr},
                    answer_line);
  return {rows, failed};
}

}  // namespace vallm::tools
