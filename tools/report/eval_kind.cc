#include <string>

#include "nlohmann/json.hpp"
#include "tools/report/report_kind.h"

namespace vallm::tools {
namespace {

using Json = nlohmann::ordered_json;

// results.json of `vallm eval`: docs/accuracy.md describes the format.
constexpr char kFormat[] = "vallm-eval-results/";

bool Recognises(const Json& result) {
  return result.contains("format") && result["format"].is_string() &&
         result["format"].get_ref<const std::string&>().starts_with(kFormat) &&
         result.contains("datasets") && result["datasets"].is_array();
}

// It has no values per question; the configuration would only make the page longer.
Json Summary(const Json& result) {
  Json summary = result;
  summary.erase("config");
  return summary;
}

}  // namespace

const ReportKind kEvalKind = {"eval", Recognises, Summary};

}  // namespace vallm::tools
