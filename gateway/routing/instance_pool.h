// The engine instances: who they are, how they are, and a slot on one of them for each request.
//
// An InstanceWatcher per instance knows at once when it stops serving, a CircuitBreaker when it
// serves in words only; a thread ends waits that take too long. Thread-safe. Owned by the gateway.
// The destructor waits for the leases that are out, so the calls that hold them must have been
// cancelled by then.
#ifndef VALLM_GATEWAY_ROUTING_INSTANCE_POOL_H_
#define VALLM_GATEWAY_ROUTING_INSTANCE_POOL_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "gateway/routing/circuit_breaker.h"
#include "gateway/routing/instance_watcher.h"
#include "gateway/routing/slot_board.h"
#include "vallm/v1/engine.grpc.pb.h"

namespace vallm::gateway {

struct InstancePoolOptions {
  std::vector<std::string> addresses;  // "host:port" or "unix:/path", at least one
  // Requests an instance runs at once; 0: what it says itself.
  int max_batch_size_for_instance = 0;
  SlotBoardOptions queue;
  CircuitBreakerOptions breaker;
  InstanceWatcherOptions watch;
};

// What requests that run on an instance have to know about it.
struct InstanceCondition {
  // It finishes what it has and will be gone then.
  bool draining = false;
  // It has left a probe unanswered and has not been reached since.
  bool silent = false;
  // When it was last seen to get ahead, with whichever request.
  absl::Time last_progress = absl::InfinitePast();
};

// How one instance is, for health, metrics and the status page.
struct InstanceSnapshot {
  std::string name;  // "engine-0"
  std::string address;
  bool serving = false;
  std::string state;  // "serving", "loading", "restarting", "draining", "unreachable"
  int in_flight = 0;  // requests of this gateway
  int limit = 0;
  CircuitBreaker::State breaker = CircuitBreaker::State::kClosed;
  int64_t breaker_openings = 0;
  v1::Load load;  // as last reported
};

class InstancePool {
 public:
  // A slot on an instance, given back by the destructor.
  class Lease {
   public:
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&&) = delete;
    ~Lease();

    int instance() const { return instance_; }
    const std::string& name() const;
    std::shared_ptr<v1::Engine::Stub> stub() const;
    absl::Duration waited() const { return waited_; }
    // What SlotRequest.make must be to go on with what is begun on this slot.
    int make() const { return make_; }
    // What became of the request, for the breaker. A token came:
    void ReportSuccess();
    // The instance does not serve: nothing is sent there until it reports to serve again.
    void ReportRefusal();
    // The instance was lost: the same, and it counts against it.
    void ReportFailure();

   private:
    friend class InstancePool;
    Lease(InstancePool* pool, int instance, int64_t connection, int make, absl::Duration waited)
        : pool_(pool),
          instance_(instance),
          connection_(connection),
          make_(make),
          granted_(absl::Now()),
          waited_(waited) {}
    InstancePool* pool_;  // null once moved from
    int instance_;
    int64_t connection_;  // the instance's, when the slot was granted
    int make_;            // the same
    absl::Time granted_;
    absl::Duration waited_;
  };

  using Ticket = SlotBoard::Ticket;
  // Called once unless the ticket is withdrawn before, from any thread; must not block.
  using Callback = std::function<void(absl::StatusOr<Lease>)>;

  explicit InstancePool(const InstancePoolOptions& options);
  ~InstancePool();
  InstancePool(const InstancePool&) = delete;
  InstancePool& operator=(const InstancePool&) = delete;

  // Asks for a slot; may call `callback` before it returns.
  // Errors (the callback is not called then): RESOURCE_EXHAUSTED when the queue is full.
  absl::StatusOr<Ticket> Acquire(const SlotRequest& request, Callback callback);
  // Gives up waiting. A callback that was due already may still be called.
  void Withdraw(Ticket ticket);

  // Cheap: takes no lock.
  InstanceCondition condition(int instance) const;

  // What is served, with the smallest limits of all instances seen so far; waits up to `timeout`
  // for the first one. Errors: UNAVAILABLE while no instance has been seen.
  absl::StatusOr<v1::ModelInfo> GetModelInfo(absl::Duration timeout);

  std::vector<InstanceSnapshot> Snapshot() const;
  int waiting_count() const;
  // How long a request may wait while no instance serves.
  absl::Duration no_instance_timeout() const { return options_.queue.no_instance_timeout; }

 private:
  struct Instance;
  using Calls = std::vector<std::pair<Callback, absl::StatusOr<Lease>>>;

  // From the watchers.
  void OnInfo(Instance& instance, const v1::ModelInfo& info);
  void OnLoad(Instance& instance, const v1::Load& load);
  void OnLost(Instance& instance, bool silent);

  void Release(int instance);
  // The connection of the lease's time is no good; another one may be by now.
  void MarkDownLocked(const Lease& lease) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Ends waits that take too long and opens breakers half.
  void KeepTime();
  bool AnyInFlightLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void UpdateBoardLocked(Instance& instance) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Tells the board what the time or a report has made of the breakers; returns whether it was new.
  bool RefreshBreakersLocked(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The callbacks that are due; run them without the lock.
  Calls SettleLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  static void Run(Calls calls);

  const InstancePoolOptions options_;
  mutable Mutex mu_;
  CondVar changed_;   // stopping_, unsettled_, deadlines, model_info_
  CondVar released_;  // a slot
  SlotBoard board_ ABSL_GUARDED_BY(mu_);
  std::map<Ticket, Callback> callbacks_ ABSL_GUARDED_BY(mu_);
  std::optional<v1::ModelInfo> model_info_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, int> makes_ ABSL_GUARDED_BY(mu_);  // by fingerprint
  std::mt19937_64 dice_ ABSL_GUARDED_BY(mu_);
  bool unsettled_ ABSL_GUARDED_BY(mu_) = false;  // the timer has to call SettleLocked
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::unique_ptr<Instance>> instances_;
  std::thread timer_;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTING_INSTANCE_POOL_H_
