#include "nlohmann/json.hpp"
#include "tools/report/report_kind.h"

namespace vallm::tools {
namespace {

using Json = nlohmann::ordered_json;

// {"model", "scores": [{"dataset", "subset", "num", "score"}]}
bool Recognises(const Json& result) {
  if (!result.contains("scores") || !result["scores"].is_array() || result["scores"].empty()) {
    return false;
  }
  const Json& first = result["scores"].front();
  return first.is_object() && first.contains("dataset") && first.contains("score");
}

Json Summary(const Json& result) {
  Json summary;
  for (const auto& [name, value] : result.items()) {
    if (name == "scores" || !value.is_structured()) summary[name] = value;
  }
  return summary;
}

}  // namespace

const ReportKind kEvalKind = {"eval", Recognises, Summary};

}  // namespace vallm::tools
