// What the asynchronous parts of a request tell the thread that serves it, in order. Thread-safe;
// shared by the request and its calls, which may end later than it.
#ifndef VALLM_GATEWAY_GENERATION_NOTICE_QUEUE_H_
#define VALLM_GATEWAY_GENERATION_NOTICE_QUEUE_H_

#include <chrono>
#include <functional>
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

// Who brings a notice pushes it, perhaps under a lock of its own that keeps the order, and then
// delivers without one.
class NoticeQueue {
 public:
  // What became of notices that were offered to the deputy.
  enum class Verdict {
    kDone,          // dealt with
    kThreadNeeded,  // dealt with, and now the request's thread is wanted
    kNotMine,       // not touched: the thread's business
  };
  // Deals with notices in place of the request's thread while that waits in Take, on the thread
  // that delivers them: a token costs no change of threads then. Must not block.
  using Deputy = std::function<Verdict(std::vector<Notice>&)>;

  // Ignored once closed; the notice is destroyed then.
  void Push(Notice notice);
  // Sees to it that somebody deals with what was pushed: the deputy here and now, or the request's
  // thread. Holds no lock while the deputy works, and must be called without any that it may take.
  void Deliver();

  // Makes Take return soon, or the next one at once, although nothing may have come.
  void Wake();

  // The rest is called by the request's thread alone.

  // Whether it has been woken since it asked last.
  bool WasWoken();

  // Null: none. What `deputy` refers to must stay until it is replaced.
  void SetDeputy(Deputy deputy);
  // Everything that has arrived; waits up to `timeout` for the first, or until the deputy wants the
  // thread. The deputy does not work while the thread is not in here.
  std::vector<Notice> Take(std::chrono::nanoseconds timeout);
  void Close();

 private:
  Mutex mu_;
  CondVar arrived_;
  std::vector<Notice> notices_ ABSL_GUARDED_BY(mu_);
  Deputy deputy_ ABSL_GUARDED_BY(mu_);
  bool waiting_ ABSL_GUARDED_BY(mu_) = false;    // the thread is in Take
  bool deputised_ ABSL_GUARDED_BY(mu_) = false;  // the deputy is at work
  bool woken_ ABSL_GUARDED_BY(mu_) = false;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_GENERATION_NOTICE_QUEUE_H_
