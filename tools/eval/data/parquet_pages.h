// The values of one column chunk of a Parquet file.
#ifndef VALLM_TOOLS_EVAL_DATA_PARQUET_PAGES_H_
#define VALLM_TOOLS_EVAL_DATA_PARQUET_PAGES_H_

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/eval/data/thrift_compact.h"

namespace vallm::eval {

// A leaf of the schema: how its values are stored.
struct ParquetLeaf {
  int64_t type = 0;         // physical type
  int64_t type_length = 0;  // of FIXED_LEN_BYTE_ARRAY
  int max_repetition = 0;
  int max_definition = 0;
};

// An entry per value or null: levels as in Dremel, and the values of those whose definition level
// is the highest, in order.
struct ColumnValues {
  std::vector<int> repetition;
  std::vector<int> definition;
  std::vector<nlohmann::ordered_json> values;

  ColumnValues();
  ~ColumnValues();
  ColumnValues(ColumnValues&&) noexcept;
  ColumnValues& operator=(ColumnValues&&) noexcept;
};

// Reads the chunk that `metadata` (ColumnMetaData) describes from the whole `file`.
absl::StatusOr<ColumnValues> ReadColumnChunk(std::string_view file, const ThriftValue& metadata,
                                             const ParquetLeaf& leaf);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_DATA_PARQUET_PAGES_H_
