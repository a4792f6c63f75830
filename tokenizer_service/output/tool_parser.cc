#include "tokenizer_service/output/tool_parser.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/strings.h"
#include "tokenizer_service/output/hermes_tool_parser.h"
#include "tokenizer_service/output/output_parser.h"

namespace vallm::tokenizer {

std::vector<std::string> ToolParserNames() { return {"hermes"}; }

absl::StatusOr<std::unique_ptr<ToolParser>> MakeToolParser(std::string_view name) {
  if (name == "hermes") return std::make_unique<HermesToolParser>();
  return absl::InvalidArgumentError(
      absl::StrCat("unknown tool parser \"", ToAbsl(name),
                   "\"; known: ", absl::StrJoin(ToolParserNames(), ", ")));
}

}  // namespace vallm::tokenizer
