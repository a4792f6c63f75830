#include "tools/bench/bench_progress.h"

#include <algorithm>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/progress_bar.h"

namespace vallm::tools {
namespace {

constexpr double kWindowSeconds = 3;

}  // namespace

std::string ProgressLine::Text(const BenchProgress& progress) {
  chunks_.emplace_back(progress.elapsed_s, progress.chunks);
  while (chunks_.size() > 2 && chunks_.front().first < progress.elapsed_s - kWindowSeconds) {
    chunks_.pop_front();
  }
  const double seconds = chunks_.back().first - chunks_.front().first;
  const auto chunks = static_cast<double>(chunks_.back().second - chunks_.front().second);
  const int percent =
      static_cast<int>(100 * progress.ended / std::max<int64_t>(progress.requests, 1));
  std::string text =
      absl::StrFormat("%s%s  %d/%d requests, %d running, %.0f tok/s, %.0f s", label_,
                      ProgressBar(percent), progress.ended, progress.requests, progress.running,
                      seconds > 0 ? chunks / seconds : 0.0, progress.elapsed_s);
  if (progress.failed > 0) absl::StrAppend(&text, ", ", progress.failed, " failed");
  return text;
}

void ProgressLine::Show(const BenchProgress& progress) {
  if (!shown_) return;
  std::fprintf(stderr, "\r%s\033[K", Text(progress).c_str());
}

void ProgressLine::Clear() {
  if (shown_) std::fprintf(stderr, "\r\033[K");
}

}  // namespace vallm::tools
