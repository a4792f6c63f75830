// Works on the rows of a stream many at a time and writes the answers in the order of the rows.
#ifndef VALLM_TOOLS_JSONL_ORDERED_ROWS_H_
#define VALLM_TOOLS_JSONL_ORDERED_ROWS_H_

#include <cstdint>
#include <functional>
#include <istream>
#include <ostream>
#include <string>

namespace vallm::tools {

struct OrderedRowsOptions {
  // Rows that are worked on at the same time, each by a thread of its own.
  int concurrency = 1;
  // Rows that a thread takes at once, of those that have arrived: short rows are worked on faster
  // than threads can take turns.
  int batch = 1;
  // Called after each batch that ended, one call at a time, with the number of rows that did.
  std::function<void(int64_t rows)> progress;
};

// Calls `handle` with every line of `in` that is not blank and with its number, from 1, and writes
// what it returns, a line each, to `out`, flushed. A line is read when somebody is free to work on
// it. `handle` must be thread-safe. Returns when all is written, or nothing can be written any
// more. Unties `in` from `out` for good (std::cin is tied to std::cout).
void ForEachRowInOrder(
    std::istream& in, std::ostream& out, const OrderedRowsOptions& options,
    const std::function<std::string(const std::string& line, int64_t line_number)>& handle);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_JSONL_ORDERED_ROWS_H_
