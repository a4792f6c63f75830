#include "tools/progress_bar.h"

#include <algorithm>

namespace vallm::tools {

std::string ProgressBar(int percent) {
  constexpr int kWidth = 24;
  percent = std::clamp(percent, 0, 100);
  std::string bar(kWidth, '-');
  std::fill_n(bar.begin(), kWidth * percent / 100, '#');
  return "[" + bar + "] " + std::to_string(percent) + " %";
}

}  // namespace vallm::tools
