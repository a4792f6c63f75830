// The kinds of result files that the report knows. A kind says by their members which files are its
// own, and what of them goes into the page; a renderer of the same name in page/ shows it
// (`report.kinds.NAME = {title, render}`). That is all there is to a new kind.
#ifndef VALLM_TOOLS_REPORT_REPORT_KIND_H_
#define VALLM_TOOLS_REPORT_REPORT_KIND_H_

#include "nlohmann/json_fwd.hpp"

namespace vallm::tools {

struct ReportKind {
  const char* name;
  // Whether this JSON object is a result of the kind.
  bool (*recognises)(const nlohmann::ordered_json& result);
  // The members that the page gets: what is in it for every sample or token is summed up.
  nlohmann::ordered_json (*summary)(const nlohmann::ordered_json& result);
};

// Results of `vallm bench serve` and vLLM's benchmark_serving.py.
extern const ReportKind kBenchKind;
// Results of `vallm eval`.
extern const ReportKind kEvalKind;

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_REPORT_REPORT_KIND_H_
