// The line that the vendor's benchmark appends to benchmark.csv, with its columns.
#ifndef VALLM_TOOLS_BENCH_VENDOR_CSV_H_
#define VALLM_TOOLS_BENCH_VENDOR_CSV_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "nlohmann/json_fwd.hpp"

namespace vallm::tools {

// Their names, in order.
std::vector<std::string> VendorCsvColumns();

// The values for one result (ResultJson): figures with 2 decimals. Device, vLLM_vacc, torch_vacc
// and OCLK/ODSPCLK are the result's metadata of that name, where it has them.
std::vector<std::string> VendorCsvValues(const nlohmann::ordered_json& result);

// One line, quoted where it must be, with a line feed.
std::string CsvLine(const std::vector<std::string>& values);

// UTF-8 with a byte order mark, as the vendor's file: Excel reads it right.
inline constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// Appends to `path`, with the header when the file is new or empty. Errors: UNAVAILABLE;
// FAILED_PRECONDITION when the file begins with other columns.
absl::Status AppendVendorCsv(const std::string& path, const nlohmann::ordered_json& result);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_BENCH_VENDOR_CSV_H_
