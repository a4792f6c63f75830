// Bridges std::string_view to Abseil's. Debian builds Abseil as C++14, where absl::string_view is a
// type of its own; our interfaces use std::string_view and cross here.
#ifndef VALLM_COMMON_STRINGS_H_
#define VALLM_COMMON_STRINGS_H_

#include <string_view>

#include "absl/strings/string_view.h"

namespace vallm {

// Views the same bytes. The result lives as long as the argument's bytes do.
inline absl::string_view ToAbsl(std::string_view s) { return {s.data(), s.size()}; }
inline std::string_view ToStd(absl::string_view s) { return {s.data(), s.size()}; }

}  // namespace vallm

#endif  // VALLM_COMMON_STRINGS_H_
