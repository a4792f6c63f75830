// The page of all results in a folder: one HTML file that needs nothing else.
#ifndef VALLM_TOOLS_REPORT_REPORT_PAGE_H_
#define VALLM_TOOLS_REPORT_REPORT_PAGE_H_

#include <string>

#include "absl/status/statusor.h"

namespace vallm::tools {

// Errors: NOT_FOUND when there is no such folder.
absl::StatusOr<std::string> ReportPage(const std::string& folder);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_REPORT_REPORT_PAGE_H_
