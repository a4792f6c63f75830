// Checks that a row of general_qa may bring along in its "check" member: {"type": TYPE, ...}.
//   number    the last \boxed{} or number equals "value"
//   exact     the answer is "value", white space at its ends aside
//   contains  all strings of "value" occur, in any case;  any: one of them does
//   regex     "value" matches somewhere
//   choice    the last letter after ANSWER:, 答案, in \boxed{}, after "the answer is", or alone, is
//   "value" json      the answer, also fenced, is the JSON "value" items     the lines, without
//   bullets, are "n" different strings of "allowed" tool_calls  the calls are exactly "value"
//   ([{name, arguments}]), with no text around them no_call   no tool is called, the strings of
//   "value" occur, and "then", if given, holds python    the function "func" of the answer's code
//   gives, for each [arguments, result] of
//             "tests", that result; run in the sandbox
#ifndef VALLM_TOOLS_EVAL_SCORING_ANSWER_CHECK_H_
#define VALLM_TOOLS_EVAL_SCORING_ANSWER_CHECK_H_

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/status/status.h"
#include "tools/eval/code/python_sandbox.h"
#include "tools/eval/data/rows.h"

namespace vallm::eval {

// Errors: INVALID_ARGUMENT when `check` is none of the above.
absl::Status ValidateCheck(const nlohmann::ordered_json& check);

// Whether `check` runs code.
bool CheckRunsCode(const nlohmann::ordered_json& check);

// REQUIRES: ValidateCheck is OK; `sandbox` is given if CheckRunsCode. `tool_calls` is an OpenAI
// array or nothing. Thread-safe.
bool PassesCheck(const nlohmann::ordered_json& check, const std::string& answer,
                 const JsonRef& tool_calls, const PythonSandbox* sandbox);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_SCORING_ANSWER_CHECK_H_
