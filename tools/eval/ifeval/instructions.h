// The 25 instructions of IFEval (Zhou et al. 2023, arXiv:2311.07911), each a rule that a program
// can check, under their published names ("length_constraints:number_words") and parameters.
// Stateless; thread-safe.
#ifndef VALLM_TOOLS_EVAL_IFEVAL_INSTRUCTIONS_H_
#define VALLM_TOOLS_EVAL_IFEVAL_INSTRUCTIONS_H_

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace vallm::eval {

// The names of all instructions.
std::vector<std::string> InstructionNames();

// Errors: INVALID_ARGUMENT when there is no such instruction, or a parameter is missing or of
// another type. `parameters` is an object; null members count as absent.
absl::Status CheckInstruction(std::string_view name, const nlohmann::ordered_json& parameters);

// Whether `response` follows the instruction. REQUIRES: CheckInstruction is OK.
bool Follows(std::string_view name, const nlohmann::ordered_json& parameters,
             const std::string& response);

// The response and the seven variants that count in "loose" accuracy: without its first line, its
// last, both, and each of the four without asterisks.
std::vector<std::string> LooseVariants(const std::string& response);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_IFEVAL_INSTRUCTIONS_H_
