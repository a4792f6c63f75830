// Templates of prompts, as Python's str.format takes them: {name}, and {{ }} for braces.
#ifndef VALLM_TOOLS_EVAL_DATASETS_PROMPT_TEMPLATE_H_
#define VALLM_TOOLS_EVAL_DATASETS_PROMPT_TEMPLATE_H_

#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "tools/eval/data/rows.h"

namespace vallm::eval {

// Errors: INVALID_ARGUMENT for a name that is not among `values` and for a brace that stands alone.
absl::StatusOr<std::string> FillTemplate(std::string_view text,
                                         const std::map<std::string, std::string>& values);

// [{"role": "system", ...}, {"role": "user", ...}]; no system message when `system` is empty.
JsonRef ChatMessages(const std::string& system, const std::string& user);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_DATASETS_PROMPT_TEMPLATE_H_
