// How long to wait before a crashed child is started again: at once the first time, then 0.5 s,
// doubling up to 30 s; a child that lived for a minute starts over. Pure; not thread-safe.
#ifndef VALLM_TOOLS_SERVE_RESTART_BACKOFF_H_
#define VALLM_TOOLS_SERVE_RESTART_BACKOFF_H_

#include "absl/time/time.h"

namespace vallm::tools {

class RestartBackoff {
 public:
  // The child ended after `lived`. Returns the wait before its next start.
  absl::Duration NextDelay(absl::Duration lived);

 private:
  absl::Duration next_ = absl::ZeroDuration();
};

}  // namespace vallm::tools

#endif  // VALLM_TOOLS_SERVE_RESTART_BACKOFF_H_
