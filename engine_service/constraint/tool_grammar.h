// Tool calls in hermes format, as Qwen3's templates show them to the model:
//   <tool_call>\n{"name": NAME, "arguments": VALUE OF THE TOOL'S PARAMETER SCHEMA}\n</tool_call>
// with the tags as the single tokens of the vocabulary where it has them.
#ifndef VALLM_ENGINE_SERVICE_CONSTRAINT_TOOL_GRAMMAR_H_
#define VALLM_ENGINE_SERVICE_CONSTRAINT_TOOL_GRAMMAR_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "engine_service/constraint/expr.h"
#include "engine_service/constraint/token_trie.h"

namespace vallm::engine {

// Adds rules to `grammar` for one call of a tool of `tools` (an OpenAI request's "tools" as JSON
// text), or of the one named `only` if that is not empty; further calls may follow on lines of
// their own if `parallel`. Returns the number of the rule of all of them. Errors: INVALID_ARGUMENT
// if `tools` is no list of functions, or none has the name; those of the schema compiler, with the
// tool's name in front.
absl::StatusOr<int> AddToolCalls(std::string_view tools, std::string_view only, bool parallel,
                                 const ConstraintVocabulary& vocabulary, Grammar* grammar);

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_CONSTRAINT_TOOL_GRAMMAR_H_
