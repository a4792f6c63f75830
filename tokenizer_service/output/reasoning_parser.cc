#include "tokenizer_service/output/reasoning_parser.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/strings.h"
#include "tokenizer_service/output/output_parser.h"
#include "tokenizer_service/output/think_tag_parser.h"

namespace vallm::tokenizer {

std::vector<std::string> ReasoningParserNames() { return {"deepseek_r1", "qwen3"}; }

absl::StatusOr<std::unique_ptr<ReasoningParser>> MakeReasoningParser(std::string_view name,
                                                                     PromptThinkState state) {
  if (name == "deepseek_r1" || name == "qwen3") return std::make_unique<ThinkTagParser>(state);
  return absl::InvalidArgumentError(
      absl::StrCat("unknown reasoning parser \"", ToAbsl(name),
                   "\"; known: ", absl::StrJoin(ReasoningParserNames(), ", ")));
}

}  // namespace vallm::tokenizer
