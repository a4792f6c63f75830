// Sizes as people read them.
#ifndef VALLM_TOOLS_DOCTOR_SIZE_TEXT_H_
#define VALLM_TOOLS_DOCTOR_SIZE_TEXT_H_

#include <cstdint>
#include <string>

#include "absl/strings/str_format.h"

namespace vallm::tools {

// "29.1 GiB", or "14 MiB" of less than one GiB.
inline std::string SizeText(int64_t bytes) {
  constexpr int64_t kMiB = int64_t{1} << 20;
  const double mib = static_cast<double>(bytes) / kMiB;
  return mib < 1024 ? absl::StrFormat("%.0f MiB", mib) : absl::StrFormat("%.1f GiB", mib / 1024);
}

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_DOCTOR_SIZE_TEXT_H_
