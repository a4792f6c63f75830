// The line that shows on a terminal how far a run is.
#ifndef VALLM_TOOLS_BENCH_BENCH_PROGRESS_H_
#define VALLM_TOOLS_BENCH_BENCH_PROGRESS_H_

#include <deque>
#include <string>
#include <utility>

#include "tools/bench/bench_run.h"

namespace vallm::tools {

// Not thread-safe.
class ProgressLine {
 public:
  // `label` comes first, e.g. "cell 3 of 50".
  ProgressLine(std::string label, bool shown) : label_(std::move(label)), shown_(shown) {}

  // Writes the line over the one before, on stderr.
  void Show(const BenchProgress& progress);
  // Takes it away.
  void Clear();

  // "[####----] 17 %  20/120 requests, 4 running, 812 tok/s"; the rate is that of the last seconds.
  std::string Text(const BenchProgress& progress);

 private:
  const std::string label_;
  const bool shown_;
  std::deque<std::pair<double, int64_t>> chunks_;  // (elapsed, chunks) of the last seconds
};

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_BENCH_BENCH_PROGRESS_H_
