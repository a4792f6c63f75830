#include "tools/report/report_page.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/status_macros.h"
#include "nlohmann/json.hpp"
#include "tools/report/page_data.h"
#include "tools/report/report_data.h"

namespace vallm::tools {

absl::StatusOr<std::string> ReportPage(const std::string& folder) {
  VALLM_ASSIGN_OR_RETURN(const nlohmann::ordered_json data, CollectReportData(folder));
  // A result may hold any text: none of it may end the element that it is in.
  const std::string json = absl::StrReplaceAll(
      data.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace),
      {{"<", "\\u003c"}});
  const absl::string_view style(report_page_data::kStyle, report_page_data::kStyleSize);
  const absl::string_view script(report_page_data::kScript, report_page_data::kScriptSize);
  return absl::StrCat(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
      "'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n"
      "<title>vallm report</title>\n<style>\n",
      style,
      "</style>\n</head>\n<body>\n<header></header>\n<main></main>\n<script id=\"data\" "
      "type=\"application/json\">",
      json, "</script>\n<script>\n", script, "</script>\n</body>\n</html>\n");
}

}  // namespace vallm::tools
