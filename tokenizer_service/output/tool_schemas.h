// What a request's tools say about the types of their parameters: what a notation without types
// (qwen3_coder) needs to write JSON. Immutable; thread-safe.
#ifndef VALLM_TOKENIZER_SERVICE_OUTPUT_TOOL_SCHEMAS_H_
#define VALLM_TOKENIZER_SERVICE_OUTPUT_TOOL_SCHEMAS_H_

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace vallm::tokenizer {

class ToolSchemas {
 public:
  // No tool is known: every parameter is text.
  ToolSchemas() = default;

  // `tools_json`: a JSON array of OpenAI tool definitions, or empty. A definition without a name
  // or properties adds nothing. Errors: INVALID_ARGUMENT if it is not a JSON array.
  static absl::StatusOr<ToolSchemas> FromJson(std::string_view tools_json);

  // Whether the parameter's value is to be a string as it stands. False if its schema has a type
  // and "string" is not among them: then JSON is expected.
  bool IsText(std::string_view tool, std::string_view parameter) const;

 private:
  using Names = std::set<std::string, std::less<>>;
  std::map<std::string, Names, std::less<>> json_parameters_;  // by tool
};

}  // namespace vallm::tokenizer

#endif  // VALLM_TOKENIZER_SERVICE_OUTPUT_TOOL_SCHEMAS_H_
