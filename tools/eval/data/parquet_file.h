// Apache Parquet files (https://parquet.apache.org/docs/file-format/), as far as public data sets
// use them: nested columns; plain and dictionary encoding; data pages of both versions; no
// compression, Snappy, gzip or zstd. Debian 12 has no Parquet library. Everything else is refused
// by name. Input is untrusted: lengths and offsets are checked.
#ifndef VALLM_TOOLS_EVAL_DATA_PARQUET_FILE_H_
#define VALLM_TOOLS_EVAL_DATA_PARQUET_FILE_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "tools/eval/data/rows.h"

namespace vallm::eval {

// The rows of a whole file: groups become objects, lists arrays, numbers and booleans their JSON
// kinds, byte arrays strings, absent values null. Errors: INVALID_ARGUMENT for what is malformed,
// UNIMPLEMENTED for encodings, codecs and types that are not understood.
absl::StatusOr<Rows> ParseParquet(std::string_view file);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_DATA_PARQUET_FILE_H_
