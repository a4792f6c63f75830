// Thrift's compact protocol, read without a schema: what Parquet writes its metadata in.
// https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
#ifndef VALLM_TOOLS_EVAL_DATA_THRIFT_COMPACT_H_
#define VALLM_TOOLS_EVAL_DATA_THRIFT_COMPACT_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace vallm::eval {

// A value of any kind; only the part that its kind has is set.
struct ThriftValue {
  int64_t number = 0;  // integers and booleans
  std::string bytes;
  std::vector<ThriftValue> list;
  std::map<int, ThriftValue> fields;  // of a struct, by number

  // A field, or an empty value when it is absent.
  const ThriftValue& operator[](int field) const;
  bool Has(int field) const { return fields.count(field) != 0; }
};

// Reads the struct that `data` begins with and sets `size` to its length in bytes.
// Errors: INVALID_ARGUMENT when it is malformed, cut off or nested too deep.
absl::StatusOr<ThriftValue> ParseThriftStruct(std::string_view data, size_t* size);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_DATA_THRIFT_COMPACT_H_
