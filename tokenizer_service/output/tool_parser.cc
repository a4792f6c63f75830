#include "tokenizer_service/output/tool_parser.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "tokenizer_service/output/hermes_tool_parser.h"
#include "tokenizer_service/output/output_parser.h"
#include "tokenizer_service/output/qwen3_coder_tool_parser.h"

namespace vallm::tokenizer {

std::vector<std::string> ToolParserNames() { return {"hermes", "qwen3_coder"}; }

absl::StatusOr<std::unique_ptr<ToolParser>> MakeToolParser(std::string_view name,
                                                           std::string_view tools_json) {
  if (name == "hermes") return std::make_unique<HermesToolParser>();
  if (name == "qwen3_coder") {
    VALLM_ASSIGN_OR_RETURN(ToolSchemas schemas, ToolSchemas::FromJson(tools_json));
    return std::make_unique<Qwen3CoderToolParser>(std::move(schemas));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown tool parser \"", ToAbsl(name),
                   "\"; known: ", absl::StrJoin(ToolParserNames(), ", ")));
}

}  // namespace vallm::tokenizer
