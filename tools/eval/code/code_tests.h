// LiveCodeBench's way of testing a program: its tests, the program in an answer, and the verdict.
#ifndef VALLM_TOOLS_EVAL_CODE_CODE_TESTS_H_
#define VALLM_TOOLS_EVAL_CODE_CODE_TESTS_H_

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/eval/code/python_sandbox.h"

namespace vallm::eval {

struct CodeTest {
  std::string input;   // standard input; or the arguments, a JSON value a line
  std::string output;  // standard output; or the result as JSON
};

struct CodeProblem {
  std::vector<CodeTest> tests;  // the public ones first
  std::string function;         // that is called; empty: the program reads standard input
};

// From a row of code_generation_lite: public_test_cases (JSON), private_test_cases (JSON, or
// base64 of zlib of a pickled JSON text) and metadata. Errors: INVALID_ARGUMENT naming the member.
absl::StatusOr<CodeProblem> ParseCodeProblem(const nlohmann::ordered_json& row);

// What stands between the first two lines with ``` ; "" when there are not two.
std::string ExtractCode(std::string_view answer);

struct CodeVerdict {
  bool passed = false;
  std::string note;  // the first test that failed, and how
};

// Runs the tests in order until one fails. Lines of output are compared without white space at
// their ends, and as decimal numbers where they differ; results of functions as Python compares
// them. Errors: INTERNAL when no process could be started.
absl::StatusOr<CodeVerdict> RunCodeTests(const PythonSandbox& sandbox, const CodeProblem& problem,
                                         const std::string& code, const RunLimits& limits);

// Whether two outputs say the same (exposed for tests).
bool SameOutput(std::string_view output, std::string_view expected);
// Whether two results are equal to Python: 1, 1.0 and true are (exposed for tests).
bool SameResult(const nlohmann::ordered_json& result, const nlohmann::ordered_json& expected);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_CODE_CODE_TESTS_H_
