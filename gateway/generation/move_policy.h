// Whether a choice that lost its instance is run again: the decisions, without clocks, dice or
// connections.
//
// A death is held against the request only if the run had not yielded a token: one that makes an
// instance crash does so again at the same token, wherever it is continued, while one that merely
// was on board goes on elsewhere. Two such deaths in a row and the request is quarantined, so it is
// moved at most twice without getting ahead. Runs that do get ahead are bounded as well, far
// above what bad luck explains.
//
// Not thread-safe. One per choice and service.
#ifndef VALLM_GATEWAY_GENERATION_MOVE_POLICY_H_
#define VALLM_GATEWAY_GENERATION_MOVE_POLICY_H_

#include "absl/time/time.h"

namespace vallm::gateway {

// Why a choice is run again, or its tokens parsed again.
enum class MoveReason { kRefused, kDied, kStalled, kDrained };

struct MoveLimits {
  // Deaths in a row without a token between them that quarantine a request. One that came before
  // the instance had said to have taken the request counts half: it may have died before.
  int fruitless_deaths = 2;
  // Stalled runs in a row without a token that are left; the next one is waited for.
  int fruitless_stalls = 2;
  // Deaths of all kinds that do.
  int deaths = 12;
  // How long an instance that serves may be looked for, refusals and waits together.
  absl::Duration failover_timeout = absl::Seconds(30);
  // How long instances that serve may refuse because their own queues are full, which other clients
  // than this gateway have filled: as long as a request may wait here.
  absl::Duration queue_timeout = absl::Minutes(10);
};

class MovePolicy {
 public:
  enum class Action {
    kRunAgain,    // after `delay`
    kGiveUp,      // nobody has taken it for failover_timeout, or queue_timeout
    kQuarantine,  // it is to blame, in all likelihood
  };
  struct Decision {
    Action action = Action::kRunAgain;
    absl::Duration delay;
  };

  explicit MovePolicy(const MoveLimits& limits) : limits_(limits) {}

  // A run is over, whatever follows; it had yielded tokens or not. Call before the others.
  void OnRunEnded(bool yielded);
  // The instance died, or hung, with the request sent to it or even, if `taken`, on board. `jitter`
  // in [0, 1).
  Decision OnDeath(bool taken, absl::Time now, double jitter);
  // The instance answers but does not get ahead, for whichever request. From outside a step that
  // takes very long looks like one that never ends, so this is no death; and a run that is begun
  // anew too often will never end. `yielded`: the run had yielded tokens. Returns whether to leave.
  bool MayLeaveStalled(bool yielded);
  // The instance did not take the request; `full`: because its queue was full.
  Decision OnRefused(bool full, absl::Time now, double jitter);

  // How long the next instance may still be waited for.
  absl::Duration patience(absl::Time now) const;

  int deaths() const { return deaths_; }

 private:
  absl::Duration NextDelay(double jitter);

  const MoveLimits limits_;
  bool yielded_ = false;  // the last run
  int fruitless_half_deaths_ = 0;
  int deaths_ = 0;
  int stalls_ = 0;                                  // left in a row without a token
  int tries_ = 0;                                   // since the last run that yielded a token
  absl::Time lost_since_ = absl::InfiniteFuture();  // the same
  absl::Time full_since_ = absl::InfiniteFuture();  // the same
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_GENERATION_MOVE_POLICY_H_
