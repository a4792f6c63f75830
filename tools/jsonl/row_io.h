// JSON Lines in and out: one row in, one row out, in order. Lines end at '\n' and nowhere else:
// strings may hold U+2028, U+0085 or CR.
#ifndef VALLM_TOOLS_JSONL_ROW_IO_H_
#define VALLM_TOOLS_JSONL_ROW_IO_H_

#include <functional>
#include <istream>
#include <nlohmann/json_fwd.hpp>
#include <ostream>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "tools/jsonl/json_row.h"

namespace vallm::tools {

// The output row of an input row whose id has the JSON text `raw_id` ("" becomes null): the id
// first, then the members of `body`, an object. No line break at the end. Characters that some
// programs take for line breaks are escaped; strings that are not UTF-8 get U+FFFD.
std::string OutputRow(std::string_view raw_id, const nlohmann::ordered_json& body);

// {"id": ..., "error": ...}.
std::string ErrorRow(std::string_view raw_id, const absl::Status& error);

struct RowCounts {
  int64_t rows = 0;
  int64_t failed = 0;
};

// Answers every line of `in` with one line on `out`: what `handle` returns for the row, or an error
// row when it fails or the line is not an object. Blank lines are skipped. `threads` work on rows
// at once, each on a few; the answers keep the order of the rows, and are flushed as soon as the
// rows that have arrived are answered. `handle` must be thread-safe if there is more than one.
RowCounts AnswerRows(
    std::istream& in, std::ostream& out, int threads,
    const std::function<absl::StatusOr<nlohmann::ordered_json>(const JsonRow&)>& handle);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_JSONL_ROW_IO_H_
