// Which request goes to which instance, and who waits: the decisions, without threads, clocks or
// connections. InstancePool drives it.
//
// Every instance has a limit of requests it runs at once. A request takes a slot of the least
// loaded serving instance, instances of equal load in turn; without a free slot it waits until one
// is free or its patience ends, or is refused when the queue is full.
//
// The line is in the order of rank, which is arrival time plus priority times `priority_ageing`:
// first come first served within a priority, and who has waited that long ranks as somebody of the
// next better priority who has just come, so that nobody starves. Those that have lost their
// instance in the middle of an answer come before all others.
//
// Not thread-safe.
#ifndef VALLM_GATEWAY_ROUTING_SLOT_BOARD_H_
#define VALLM_GATEWAY_ROUTING_SLOT_BOARD_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace vallm::gateway {

struct SlotBoardOptions {
  int max_queue_size = 1024;
  // The longest wait for a slot while at least one instance serves.
  absl::Duration queue_timeout = absl::Minutes(10);
  // The longest wait while none does: enough for a worker group to restart.
  absl::Duration no_instance_timeout = absl::Seconds(15);
  absl::Duration priority_ageing = absl::Minutes(1);  // > 0; infinite: priorities are strict
};

// How a request wants to be placed.
struct SlotRequest {
  // An instance to use only if no other serves.
  std::optional<int> avoid;
  // It has run already and lost its instance: first in line, and never refused for a full queue.
  bool moved = false;
  // Only instances of this make will do: it goes on with what one of them has begun.
  std::optional<int> make;
  // The longest wait while no instance serves; absent: the board's no_instance_timeout.
  std::optional<absl::Duration> patience;
  int32_t priority = 0;  // lower comes earlier
};

class SlotBoard {
 public:
  using Ticket = int64_t;

  // What Settle decided about one waiting request.
  struct Decision {
    Ticket ticket = 0;
    // The instance's index, its slot taken; or DEADLINE_EXCEEDED (waited too long) or UNAVAILABLE
    // (no instance serves).
    absl::StatusOr<int> instance;
    absl::Duration waited;
  };

  explicit SlotBoard(const SlotBoardOptions& options) : options_(options) {}

  // Adds an instance that does not serve yet; returns its index, from 0.
  int AddInstance();
  // What the instance says about itself: `limit` >= 1, `reported_load` requests running and waiting
  // there, those of other clients included.
  void UpdateInstance(int instance, bool serving, int limit, int reported_load);
  // Instances of one make give the same tokens. 0 until told otherwise.
  void SetMake(int instance, int make) { instances_[instance].make = make; }

  // Puts a request in line. Call Settle next.
  // Errors: RESOURCE_EXHAUSTED when the queue is full and no slot is free.
  absl::StatusOr<Ticket> Enqueue(absl::Time now, const SlotRequest& request);
  // Takes a request out of the line; no-op if it is not there.
  void Withdraw(Ticket ticket);
  // Gives a granted slot back.
  void Release(int instance);

  // Grants what can be granted and gives up on who has waited too long. Each request is decided
  // once.
  std::vector<Decision> Settle(absl::Time now);

  // When Settle has something to do even if nothing else happens.
  absl::Time NextDeadline() const;

  int waiting_count() const { return static_cast<int>(waiters_.size()); }
  int in_flight(int instance) const { return instances_[instance].in_flight; }

 private:
  struct Instance {
    bool serving = false;
    int make = 0;
    int limit = 1;
    int in_flight = 0;  // slots taken
    int foreign = 0;    // load that is not ours
  };
  struct Waiter {
    Ticket ticket;
    absl::Time since;
    SlotRequest request;
  };

  bool RanksBefore(const Waiter& a, const Waiter& b) const;
  // It serves and is of the make that the request wants.
  static bool Serves(const Instance& instance, const SlotRequest& request);
  bool AnyServes(const SlotRequest& request) const;
  // The best instance with a free slot, or nullopt.
  std::optional<int> Pick(const SlotRequest& request) const;
  absl::Time DeadlineOf(const Waiter& waiter) const;

  const SlotBoardOptions options_;
  std::vector<Instance> instances_;
  std::deque<Waiter> waiters_;  // by rank
  Ticket next_ticket_ = 1;
  int next_in_turn_ = 0;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTING_SLOT_BOARD_H_
