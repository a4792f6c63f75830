// The engine instances: who they are, how they are, and a slot on one of them for each request.
//
// One thread per instance keeps a WatchLoad stream open and knows at once when the instance stops
// serving; one more ends waits that take too long. Thread-safe. Owned by the gateway. The
// destructor waits for the leases that are out, so the calls that hold them must have been
// cancelled by then.
#ifndef VALLM_GATEWAY_ROUTING_INSTANCE_POOL_H_
#define VALLM_GATEWAY_ROUTING_INSTANCE_POOL_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "gateway/routing/slot_board.h"
#include "vallm/v1/engine.grpc.pb.h"

namespace vallm::gateway {

struct InstancePoolOptions {
  std::vector<std::string> addresses;  // "host:port" or "unix:/path", at least one
  // Requests an instance runs at once; 0: what it says itself.
  int max_batch_size_for_instance = 0;
  SlotBoardOptions queue;
};

// How one instance is, for health, metrics and the status page.
struct InstanceSnapshot {
  std::string name;  // "engine-0"
  std::string address;
  bool serving = false;
  std::string state;  // "serving", "loading", "restarting", "draining", "unreachable"
  int in_flight = 0;  // requests of this gateway
  int limit = 0;
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
    // The instance answered UNAVAILABLE: nothing is sent there until it reports to serve again.
    void ReportUnavailable();

   private:
    friend class InstancePool;
    Lease(InstancePool* pool, int instance, absl::Duration waited)
        : pool_(pool), instance_(instance), waited_(waited) {}
    InstancePool* pool_;  // null once moved from
    int instance_;
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

  void Watch(Instance& instance);
  void FollowLoad(Instance& instance);
  void SetUnreachable(Instance& instance);
  void AddModelInfo(Instance& instance, const v1::ModelInfo& info);
  void Release(int instance);
  void ReportUnavailable(int instance);
  void EndOverdueWaits();
  bool AnyInFlightLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The callbacks that are due; run them without the lock.
  Calls SettleLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  static void Run(Calls calls);

  const InstancePoolOptions options_;
  mutable Mutex mu_;
  CondVar changed_;   // stopping_, deadlines, model_info_
  CondVar stop_;      // stopping_
  CondVar released_;  // a slot
  SlotBoard board_ ABSL_GUARDED_BY(mu_);
  std::map<Ticket, Callback> callbacks_ ABSL_GUARDED_BY(mu_);
  std::optional<v1::ModelInfo> model_info_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::unique_ptr<Instance>> instances_;
  std::thread timer_;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTING_INSTANCE_POOL_H_
