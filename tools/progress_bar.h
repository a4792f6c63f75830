// A bar for terminals: "[######----------] 37 %".
#ifndef VALLM_TOOLS_PROGRESS_BAR_H_
#define VALLM_TOOLS_PROGRESS_BAR_H_

#include <string>

namespace vallm::tools {

// `percent` is clamped to 0..100. The bar is full at 100 only.
std::string ProgressBar(int percent);

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_PROGRESS_BAR_H_
