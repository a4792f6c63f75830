// What the output of a request must look like, as the request says it. A plain value; equal specs
// mean equal constraints, so that a spec is the key of a cache of compiled ones.
#ifndef VALLM_ENGINE_SERVICE_CONSTRAINT_CONSTRAINT_SPEC_H_
#define VALLM_ENGINE_SERVICE_CONSTRAINT_CONSTRAINT_SPEC_H_

#include <string>
#include <vector>

namespace vallm::engine {

struct ConstraintSpec {
  enum class Kind {
    kJsonObject,  // any JSON object
    kJsonSchema,  // text: a JSON schema
    kRegex,       // text: a regular expression for the whole output
    kChoice,      // choices: one of these texts
    kGrammar,     // text: EBNF (docs/constrained-decoding.md)
    kTools,       // calls of `tools`
  };

  Kind kind = Kind::kJsonObject;
  std::string text = {};
  std::vector<std::string> choices = {};
  // A JSON array of OpenAI tools, called in hermes format. Of every kind but kTools: the output may
  // be calls of these instead; empty: it may not.
  std::string tools = {};
  std::string tool_name = {};       // the only function that may be called; empty: any of them
  bool parallel_tool_calls = true;  // whether more than one call may follow each other

  bool operator==(const ConstraintSpec&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const ConstraintSpec& s) {
    return H::combine(std::move(h), s.kind, s.text, s.choices, s.tools, s.tool_name,
                      s.parallel_tool_calls);
  }
};

}  // namespace vallm::engine

#endif  // VALLM_ENGINE_SERVICE_CONSTRAINT_CONSTRAINT_SPEC_H_
