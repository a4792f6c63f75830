#include "tools/bench/vendor_csv.h"

#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "common/version.h"
#include "nlohmann/json.hpp"

namespace vallm::tools {
namespace {

using Json = nlohmann::ordered_json;

double Number(const Json& result, const char* key) {
  return result.contains(key) && result[key].is_number() ? result[key].get<double>() : 0;
}

std::string Text(const Json& result, const char* key, const char* otherwise) {
  return result.contains(key) && result[key].is_string() ? result[key].get<std::string>()
                                                         : otherwise;
}

std::string Figure(double value) { return absl::StrFormat("%.2f", value); }

std::string ProcessorName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) == 0) {
      return std::string(absl::StripAsciiWhitespace(line.substr(line.find(':') + 1)));
    }
  }
  return "N/A";
}

// "2026-11-30 03" of the result's "20261130-031500".
std::string HourOf(const std::string& date) {
  if (date.size() < 11) return date;
  return absl::StrCat(date.substr(0, 4), "-", date.substr(4, 2), "-", date.substr(6, 2), " ",
                      date.substr(9, 2));
}

}  // namespace

std::vector<std::string> VendorCsvColumns() {
  return {"Maximum req",
          "Duration (s)",
          "Successful req",
          "input tokens",
          "generated tokens",
          "Req throughput (req/s)",
          "Output token throughput (tok/s)",
          "Total Token throughput (tok/s)",
          "Mean TTFT (ms)",
          "Mean TPOT (ms)",
          "Decoding token throughput (tok/s)",
          "Per-req Decoding token throughput (tok/s)",
          "CPU",
          "Device",
          "vLLM",
          "vLLM_vacc",
          "torch_vacc",
          "OCLK/ODSPCLK",
          "Data"};
}

std::vector<std::string> VendorCsvValues(const Json& result) {
  const double completed = Number(result, "completed");
  const auto per_request = [&](const char* key) {
    return Figure(completed > 0 ? Number(result, key) / completed : 0);
  };
  const double concurrency = Number(result, "max_concurrency") > 0
                                 ? Number(result, "max_concurrency")
                                 : Number(result, "max_concurrent_requests");
  return {absl::StrCat(static_cast<int64_t>(concurrency)),
          Figure(Number(result, "duration")),
          absl::StrCat(static_cast<int64_t>(completed)),
          per_request("total_input_tokens"),
          per_request("total_output_tokens"),
          Figure(Number(result, "request_throughput")),
          Figure(Number(result, "output_throughput")),
          Figure(Number(result, "total_token_throughput")),
          Figure(Number(result, "mean_ttft_ms")),
          Figure(Number(result, "mean_tpot_ms")),
          Figure(Number(result, "decoding_token_throughput")),
          Figure(Number(result, "per_req_decoding_token_throughput")),
          ProcessorName(),
          Text(result, "Device", "N/A"),
          absl::StrCat("vallm ", kVersion),
          Text(result, "vLLM_vacc", "Not Installed"),
          Text(result, "torch_vacc", "Not Installed"),
          Text(result, "OCLK/ODSPCLK", "N/A/N/A"),
          HourOf(Text(result, "date", ""))};
}

std::string CsvLine(const std::vector<std::string>& values) {
  std::string line;
  for (const std::string& value : values) {
    if (!line.empty()) line += ',';
    if (value.find_first_of(",\"\r\n") == std::string::npos) {
      line += value;
      continue;
    }
    line += '"';
    for (const char c : value) line.append(c == '"' ? 2 : 1, c);
    line += '"';
  }
  return line + "\n";
}

absl::Status AppendVendorCsv(const std::string& path, const Json& result) {
  const std::string header = CsvLine(VendorCsvColumns());
  std::string first;
  {
    std::ifstream file(path, std::ios::binary);
    std::getline(file, first);
  }
  const bool is_new = first.empty();
  absl::string_view columns = first;
  absl::ConsumePrefix(&columns, {kByteOrderMark.data(), kByteOrderMark.size()});
  absl::ConsumeSuffix(&columns, "\r");
  if (!is_new && absl::StrCat(columns, "\n") != header) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " begins with other columns; name another file"));
  }
  std::ofstream file(path, std::ios::binary | std::ios::app);
  if (is_new) file << kByteOrderMark << header;
  file << CsvLine(VendorCsvValues(result));
  file.close();
  if (!file) return absl::UnavailableError(absl::StrCat("cannot write ", path));
  return absl::OkStatus();
}

}  // namespace vallm::tools
