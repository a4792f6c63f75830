// Shows how the services come up: one line per service that is redrawn in a terminal, or a plain
// line whenever a service becomes ready otherwise. Not thread-safe.
#ifndef VALLM_TOOLS_SERVE_PROGRESS_DISPLAY_H_
#define VALLM_TOOLS_SERVE_PROGRESS_DISPLAY_H_

#include <cstdio>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tools/serve/readiness.h"

namespace vallm::tools {

class ProgressDisplay {
 public:
  // `out` must outlive this. Redraws when `terminal`.
  ProgressDisplay(std::FILE* out, bool terminal, std::vector<std::string> names,
                  absl::Time start_time);

  // Shows the state at `now`; `states` is in the order of the names.
  void Update(const std::vector<TargetState>& states, absl::Time now);

  // Prints a line above the display.
  void Print(const std::string& line);

 private:
  void Erase();

  std::FILE* const out_;
  const bool terminal_;
  const std::vector<std::string> names_;
  const absl::Time start_time_;
  std::vector<bool> was_ready_;
  std::vector<absl::Time> ready_time_;
  absl::Time next_reminder_;  // of plain output, while nothing changes
  int lines_ = 0;             // on the terminal now
};

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_SERVE_PROGRESS_DISPLAY_H_
