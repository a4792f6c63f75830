// What the asynchronous parts of a request tell the thread that serves it, in order. Thread-safe;
// shared by the request and its calls, which may end later than it.
#ifndef VALLM_GATEWAY_GENERATION_NOTICE_QUEUE_H_
#define VALLM_GATEWAY_GENERATION_NOTICE_QUEUE_H_

#include <chrono>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "gateway/generation/event.h"
#include "gateway/generation/run_end.h"
#include "gateway/routing/instance_pool.h"

namespace vallm::gateway {

// The router answered: a slot, or why there is none.
struct SlotNotice {
  absl::StatusOr<InstancePool::Lease> lease;
};
// The engine has taken the request.
struct AdmittedNotice {};
// New tokens and what they released; maybe no event.
struct TokensNotice {
  std::vector<GenerationEvent> events;
  int token_count = 0;
  absl::Time arrived;
};
// A run on an engine has ended before the answer was complete. The choice goes on if it is run
// again.
struct RunEndedNotice {
  int run;  // the pipeline's count
  RunEnd end;
  bool taken;    // the engine had said to be at work
  bool yielded;  // it had given tokens
  absl::Status status;
};
// The answer cannot be parsed on; the choice is over.
struct ParsingFailedNotice {
  absl::Status status;
};

struct Notice {
  int choice;
  std::variant<SlotNotice, AdmittedNotice, TokensNotice, RunEndedNotice, ParsingFailedNotice> what;
};

class NoticeQueue {
 public:
  // Ignored once closed; the notice is destroyed then.
  void Push(Notice notice) {
    MutexLock lock(mu_);
    if (closed_) return;
    notices_.push_back(std::move(notice));
    arrived_.NotifyOne();
  }

  // Everything that has arrived; waits up to `timeout` for the first.
  std::vector<Notice> Take(std::chrono::nanoseconds timeout) {
    MutexLock lock(mu_);
    if (notices_.empty()) arrived_.WaitFor(mu_, timeout);
    return std::exchange(notices_, {});
  }

  void Close() {
    std::vector<Notice> dropped;  // destroyed without the lock: a lease settles the router's queue
    MutexLock lock(mu_);
    closed_ = true;
    dropped = std::exchange(notices_, {});
  }

 private:
  Mutex mu_;
  CondVar arrived_;
  std::vector<Notice> notices_ ABSL_GUARDED_BY(mu_);
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_GENERATION_NOTICE_QUEUE_H_
