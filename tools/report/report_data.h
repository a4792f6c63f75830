// Finds the results in a folder.
#ifndef VALLM_TOOLS_REPORT_REPORT_DATA_H_
#define VALLM_TOOLS_REPORT_REPORT_DATA_H_

#include <string>

#include "absl/status/statusor.h"
#include "nlohmann/json_fwd.hpp"

namespace vallm::tools {

// What the page shows: {"folder", "kinds": {KIND: [summary with "file"]}, "others": N}, from the
// .json files in `folder` and the folders in it, in the order of their names. Files that are JSON
// but no result are counted in `others`; those that are no JSON are listed in "broken".
// Errors: NOT_FOUND when there is no such folder.
absl::StatusOr<nlohmann::ordered_json> CollectReportData(const std::string& folder);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_REPORT_REPORT_DATA_H_
