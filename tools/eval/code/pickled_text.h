// A text that Python pickled: LiveCodeBench packs its private tests so. Nothing else is unpickled:
// pickles are programs, and this one may only push one string.
#ifndef VALLM_TOOLS_EVAL_CODE_PICKLED_TEXT_H_
#define VALLM_TOOLS_EVAL_CODE_PICKLED_TEXT_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace vallm::eval {

// Errors: INVALID_ARGUMENT for anything but one string, or one that is cut off.
absl::StatusOr<std::string> PickledText(std::string_view pickle);

}  // namespace vallm::eval

#endif  // VALLM_TOOLS_EVAL_CODE_PICKLED_TEXT_H_
