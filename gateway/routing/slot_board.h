// Which request goes to which instance, and who waits: the decisions, without threads, clocks or
// connections. InstancePool drives it.
//
// Every instance has a limit of requests it runs at once. A request takes a slot of the instance
// that its session used last, or else of the one that the routing policy likes best; without a free
// slot it waits until one is free or its patience ends, or is refused when the queue is full.
//
// The line is in the order of rank: first those that have lost their instance in the middle of an
// answer, last the background, which so never has a slot that anybody else who waits could use. In
// between, rank is arrival time plus priority times `priority_ageing`: first come first served
// within a priority, and who has waited that long ranks as somebody of the next better priority
// who has just come, so that nobody starves.
//
// Not thread-safe.
#ifndef VALLM_GATEWAY_ROUTING_SLOT_BOARD_H_
#define VALLM_GATEWAY_ROUTING_SLOT_BOARD_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gateway/routing/drain_rate.h"
#include "gateway/routing/lru_map.h"
#include "gateway/routing/prompt_blocks.h"
#include "gateway/routing/routing_policy.h"

namespace vallm::gateway {

struct SlotBoardOptions {
  int max_queue_size = 1024;
  // The longest wait for a slot while at least one instance serves.
  absl::Duration queue_timeout = absl::Minutes(10);
  // The longest wait while none does, counted from when the last one stopped or the request came:
  // enough for a worker group to restart.
  absl::Duration no_instance_timeout = absl::Seconds(15);
  absl::Duration priority_ageing = absl::Minutes(1);  // > 0; infinite: priorities are strict
  RoutingPolicyOptions policy = {};
};

// How a request wants to be placed.
struct SlotRequest {
  // An instance to use only if no other serves.
  std::optional<int> avoid = {};
  // It has run already and lost its instance: first in line, and never refused for a full queue.
  bool moved = false;
  // Only instances of this make will do: it goes on with what one of them has begun.
  std::optional<int> make = {};
  // The longest wait while no instance serves; absent: the board's no_instance_timeout.
  std::optional<absl::Duration> patience = {};
  int32_t priority = 0;     // lower comes earlier
  bool background = false;  // comes after everybody else
  // Names the conversation it belongs to; it goes where the last one of that name went, while that
  // instance has a free slot.
  std::optional<uint64_t> session = {};
  std::shared_ptr<const PromptBlocks> prompt = {};  // for policies that look at it; may be null
};

// What spoke for an instance.
enum class RoutingReason {
  kSession,  // it has the rest of the conversation
  kPrefix,   // it should have a part of the prompt cached
  kLoad,     // it has the least to do
  kTurn,     // it was its turn
};
const char* NameOf(RoutingReason reason);

class SlotBoard {
 public:
  using Ticket = int64_t;

  // The instance that a request takes, or would.
  struct Choice {
    int instance = 0;
    RoutingReason reason = RoutingReason::kLoad;
    int64_t matched_tokens = 0;  // of its prompt, expected to be cached there
  };

  // What Settle decided about one waiting request.
  struct Decision {
    Ticket ticket = 0;
    // The slot taken; or DEADLINE_EXCEEDED (waited too long) or UNAVAILABLE (no instance serves).
    absl::StatusOr<Choice> choice;
    absl::Duration waited;
  };

  // Why an instance is or is not there for a request.
  enum class Fitness { kFree, kFull, kNotServing, kOtherMake, kAvoided };
  static const char* NameOf(Fitness fitness);
  struct Verdict {
    int instance = 0;
    Fitness fitness = Fitness::kNotServing;
    int load = 0;
    int limit = 1;
    std::optional<CandidateScore> score;  // of candidates
  };
  struct Explanation {
    std::vector<Verdict> verdicts;  // by instance
    std::optional<Choice> choice;   // absent: it would wait
    int position = 0;               // in line; 0: it need not wait
    // Until its turn comes, at the rate at which slots come free; absent: unknown, or at once.
    std::optional<absl::Duration> wait;
  };

  explicit SlotBoard(const SlotBoardOptions& options);

  // Adds an instance that does not serve yet; returns its index, which is never used again.
  int AddInstance();
  // Forgets it. REQUIRES: nothing in flight there.
  void RemoveInstance(int instance);
  // What the instance says about itself: `limit` >= 1, `reported_load` requests running and waiting
  // there, those of other clients included.
  void UpdateInstance(int instance, bool serving, int limit, int reported_load);
  // Instances of one make give the same tokens. 0 until told otherwise.
  void SetMake(int instance, int make) { instances_.at(instance).make = make; }
  // It has so many KV blocks.
  void SetCapacity(int instance, int64_t blocks) { policy_->OnCapacity(instance, blocks); }
  // Its prefix cache is empty.
  void OnCacheLost(int instance) { policy_->OnCacheLost(instance); }

  // Puts a request in line. Call Settle next.
  // Errors: RESOURCE_EXHAUSTED when the queue is full and no slot is free.
  absl::StatusOr<Ticket> Enqueue(absl::Time now, const SlotRequest& request);
  // Takes a request out of the line; no-op if it is not there.
  void Withdraw(Ticket ticket);
  // Gives a granted slot back.
  void Release(int instance, absl::Time now);

  // Grants what can be granted and gives up on who has waited too long. Each request is decided
  // once.
  std::vector<Decision> Settle(absl::Time now);

  // What would become of a request that came now; changes nothing.
  Explanation Explain(const SlotRequest& request, absl::Time now) const;
  // How long somebody who joins the line at its end will wait, at the rate at which slots come
  // free, at most the queue time-out; nullopt when nothing is known.
  std::optional<absl::Duration> ExpectedWait(absl::Time now) const;

  // When Settle has something to do even if nothing else happens.
  absl::Time NextDeadline() const;

  int waiting_count() const { return static_cast<int>(waiters_.size()); }
  int background_waiting_count() const;
  int in_flight(int instance) const { return instances_.at(instance).in_flight; }
  int64_t recorded_blocks(int instance) const { return policy_->recorded_blocks(instance); }

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
    // Since when nobody serves it: a long wait in line must not turn a moment without instances
    // into the end. Absent: somebody does, or has until the last call of Settle.
    std::optional<absl::Time> unserved_since = {};
  };

  bool RanksBefore(const Waiter& a, const Waiter& b) const;
  // It serves and is of the make that the request wants.
  static bool Serves(const Instance& instance, const SlotRequest& request);
  bool AnyServes(const SlotRequest& request) const;
  // Whether another instance than the one the request avoids serves.
  bool OtherServes(const SlotRequest& request) const;
  Fitness FitnessOf(int index, const Instance& instance, const SlotRequest& request,
                    bool other_serves) const;
  // Those that could take the request now, in the order of turns.
  std::vector<Candidate> Candidates(const SlotRequest& request) const;
  // The best of `candidates` with their `scores`. REQUIRES: there is one.
  Choice Best(const SlotRequest& request, const std::vector<Candidate>& candidates,
              const std::vector<CandidateScore>& scores) const;
  // Takes the slot.
  void Take(const SlotRequest& request, const Choice& choice, absl::Time now);
  absl::Status WaitedTooLong(const Waiter& waiter, absl::Duration waited) const;
  absl::Time DeadlineOf(const Waiter& waiter) const;

  const SlotBoardOptions options_;
  const std::unique_ptr<RoutingPolicy> policy_;
  std::map<int, Instance> instances_;  // by index
  std::deque<Waiter> waiters_;         // by rank
  LruMap<uint64_t, int> sessions_;     // the instance each used last
  DrainRate drain_rate_;
  Ticket next_ticket_ = 1;
  int next_index_ = 0;
  int next_in_turn_ = 0;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTING_SLOT_BOARD_H_
