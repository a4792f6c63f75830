#include "tools/bench/sweep_folder.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"
#include "tools/bench/result_json.h"
#include "tools/bench/vendor_csv.h"
#include "tools/report/report_page.h"

namespace vallm::tools {
namespace {

using Json = nlohmann::ordered_json;

// Null where there is none.
Json ReadJson(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  return json.is_object() ? json : Json();
}

}  // namespace

absl::Status SweepFolder::Open() const {
  std::error_code error;
  std::filesystem::create_directories(path_, error);
  if (error) {
    return absl::UnavailableError(absl::StrCat("cannot make ", path_, ": ", error.message()));
  }
  return absl::OkStatus();
}

Json SweepFolder::Key(const SweepCell& cell) const {
  return {{"backend", workload_.backend},
          {"request", workload_.request},
          {"concurrency", cell.concurrency},
          {"input_len", cell.input_len},
          {"output_len", cell.output_len},
          {"prompts_per_concurrency", workload_.prompts_per_concurrency},
          {"seed", workload_.seed}};
}

bool SweepFolder::HasResult(const SweepCell& cell) const {
  const Json result = ReadJson(ResultPath(cell));
  return result.is_object() && result.contains("sweep_cell") && result["sweep_cell"] == Key(cell) &&
         result.contains("failed") && result["failed"] == 0;
}

absl::Status SweepFolder::SaveResult(const SweepCell& cell, Json result) const {
  result["sweep_cell"] = Key(cell);
  return WriteFileWhole(ResultPath(cell),
                        result.dump(-1, ' ', false, Json::error_handler_t::replace));
}

absl::Status SweepFolder::WriteSummary(const std::vector<SweepCell>& cells,
                                       const std::map<std::string, std::string>& failures) const {
  Json summary = {{"sweep", "vallm bench sweep"}, {"cells", Json::array()}};
  std::string csv = absl::StrCat(std::string(kByteOrderMark), CsvLine(VendorCsvColumns()));
  for (const SweepCell& cell : cells) {
    Json entry = {{"name", cell.Name()},
                  {"concurrency", cell.concurrency},
                  {"input_len", cell.input_len},
                  {"output_len", cell.output_len}};
    if (!cell.too_large.empty()) {
      entry["skipped"] = cell.too_large;
    } else if (HasResult(cell)) {
      Json result = ReadJson(ResultPath(cell));
      csv += CsvLine(VendorCsvValues(result));
      // The lists with a value per request stay in the cell's own file.
      for (auto member = result.begin(); member != result.end();) {
        member = member->is_array() ? result.erase(member) : std::next(member);
      }
      entry["result"] = std::move(result);
    } else if (failures.contains(cell.Name())) {
      entry["failed"] = failures.at(cell.Name());
    }
    summary["cells"].push_back(std::move(entry));
  }
  VALLM_RETURN_IF_ERROR(WriteFileWhole(path_ + "/sweep.json", summary.dump(1)));
  VALLM_RETURN_IF_ERROR(WriteFileWhole(path_ + "/benchmark.csv", csv));
  VALLM_ASSIGN_OR_RETURN(const std::string page, ReportPage(path_));
  return WriteFileWhole(path_ + "/report.html", page);
}

}  // namespace vallm::tools
