// The ways to say what an answer must look like: OpenAI's response_format, vLLM's
// structured_outputs and its older guided_json, guided_regex, guided_choice and guided_grammar.
#ifndef VALLM_GATEWAY_OPENAI_CONSTRAINT_PARAMS_H_
#define VALLM_GATEWAY_OPENAI_CONSTRAINT_PARAMS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/openai/json_object.h"

namespace vallm::gateway {

struct AnswerConstraint {
  enum class Kind { kJsonObject, kJsonSchema, kRegex, kChoice, kGrammar, kToolCalls };
  Kind kind = Kind::kJsonObject;
  std::string text = {};                  // schema, regex or grammar
  std::vector<std::string> choices = {};  // kChoice
  // The request's tools, as JSON: of kToolCalls, and of the others if calls may come instead.
  std::string tools = {};
  std::string tool_name = {};  // the only one that may be called; empty: any
  bool single_call = false;    // exactly one call
  std::string param = {};      // the parameter that said so
};

// The constraint of `body`, if it has one. Errors: INVALID_ARGUMENT naming the parameter, for more
// than one constraint as well. Whether a schema is supported only the engine knows.
absl::StatusOr<std::optional<AnswerConstraint>> ReadConstraint(JsonObject& body);

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_OPENAI_CONSTRAINT_PARAMS_H_
