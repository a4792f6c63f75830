// The engine instances: who they are, how they are, and a slot on one of them for each request.
//
// Instances come and go while requests run: sources name addresses (flags, a file, DNS, the admin
// API), and an instance lives as long as any source wants it. One that nobody wants any more is
// drained, and removed when nothing of this gateway runs there; leases keep it until then.
//
// An InstanceWatcher per instance knows at once when it stops serving, a CircuitBreaker when it
// serves in words only; a thread ends waits that take too long. Thread-safe. Owned by the gateway.
// The destructor waits for the leases that are out, so the calls that hold them must have been
// cancelled by then.
#ifndef VALLM_GATEWAY_ROUTING_INSTANCE_POOL_H_
#define VALLM_GATEWAY_ROUTING_INSTANCE_POOL_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/tls_files.h"
#include "gateway/routing/circuit_breaker.h"
#include "gateway/routing/engine_stream.h"
#include "gateway/routing/instance_watcher.h"
#include "gateway/routing/slot_board.h"
#include "vallm/v1/engine.grpc.pb.h"

namespace vallm::gateway {

// Who wants an instance.
enum class InstanceSource { kFlag, kFile, kDns, kAdmin };
const char* NameOf(InstanceSource source);

struct InstancePoolOptions {
  std::vector<std::string> addresses;  // of the source kFlag
  // Requests an instance runs at once; 0: what it says itself.
  int max_batch_size_for_instance = 0;
  SlotBoardOptions queue;
  CircuitBreakerOptions breaker;
  InstanceWatcherOptions watch;
  TlsFiles tls;  // of the connections to engines
};

// What requests that run on an instance have to know about it. Thread-safe, without a lock.
struct InstanceCondition {
  // It finishes what it has: it was told to, or the gateway was.
  std::atomic<bool> draining{false};
  // It has left a probe unanswered and has not been reached since.
  std::atomic<bool> silent{false};
  // When it was last seen to get ahead, with whichever request; nanoseconds since the epoch.
  std::atomic<int64_t> last_progress_ns{0};

  absl::Time last_progress() const { return absl::FromUnixNanos(last_progress_ns); }
};

// How one instance is, for health, metrics and the management port.
struct InstanceSnapshot {
  std::string name;     // "engine-0"; never given to another one
  std::string address;  // as the source has it
  std::vector<InstanceSource> sources;
  bool serving = false;  // gets requests
  // As it says: "serving", "loading", "restarting", "draining"; or "unreachable".
  std::string state;
  // "enabled", "draining", "drained" (nothing of this gateway runs there) or "removing".
  std::string admin_state;
  bool silent = false;
  int in_flight = 0;  // requests of this gateway
  int limit = 0;
  CircuitBreaker::State breaker = CircuitBreaker::State::kClosed;
  int64_t breaker_openings = 0;
  int64_t restarts = 0;         // seen, of the process or its workers
  int64_t cache_losses = 0;     // seen, beside those
  int64_t recorded_blocks = 0;  // of prompts that should be cached there
  std::optional<absl::Time> reached_since;
  std::optional<absl::Time> last_progress;
  std::optional<v1::ModelInfo> info;  // as last reported
  v1::Load load;                      // the same; empty while unreachable
};

class InstancePool {
  struct Instance;

 public:
  // A slot on an instance, given back by the destructor.
  class Lease {
   public:
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&&) = delete;
    ~Lease();

    int instance() const { return choice_.instance; }
    const std::string& name() const;
    std::shared_ptr<v1::Engine::Stub> stub() const;
    // Where to run; good as long as the lease.
    EngineStream& stream() const;
    // Of the instance; goes on telling after the lease has ended.
    std::shared_ptr<const InstanceCondition> condition() const;
    absl::Duration waited() const { return waited_; }
    // Why this one.
    const SlotBoard::Choice& choice() const { return choice_; }
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
    Lease(InstancePool* pool, std::shared_ptr<Instance> instance, const SlotBoard::Choice& choice,
          absl::Duration waited);
    InstancePool* pool_;  // null once moved from
    std::shared_ptr<Instance> instance_;
    SlotBoard::Choice choice_;
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

  // Makes `addresses` those that `source` wants: adds what is new there, drops what is not wanted
  // any more. What it wanted before as well is left as it is, so that an instance that was removed
  // by hand stays so. With TLS, new ones must show a certificate of options.tls.server_name, of
  // `host` if that is empty, of their address's host if both are.
  void SetAddresses(InstanceSource source, const std::vector<std::string>& addresses,
                    const std::string& host = "");

  // By hand. All return the instance's snapshot afterwards.
  // Errors: INVALID_ARGUMENT for no address, ALREADY_EXISTS (naming the instance).
  absl::StatusOr<InstanceSnapshot> Add(const std::string& address);
  // The instance gets no requests; those that run there go elsewhere when there is room, or end
  // there. Errors of all three: NOT_FOUND; of Enable also FAILED_PRECONDITION when it is removed.
  absl::StatusOr<InstanceSnapshot> Drain(std::string_view name);
  absl::StatusOr<InstanceSnapshot> Enable(std::string_view name);
  // Drains it and forgets it when nothing of this gateway runs there any more, whoever wants it.
  absl::StatusOr<InstanceSnapshot> Remove(std::string_view name);

  // What would become of a request that came now.
  SlotBoard::Explanation Explain(const SlotRequest& request) const;
  // How long a request that cannot be placed would wait; nullopt when nothing is known.
  std::optional<absl::Duration> ExpectedWait() const;
  // A prompt as SlotRequest wants it; null when the policy does not look at prompts.
  std::shared_ptr<const PromptBlocks> BlocksOf(absl::Span<const int32_t> token_ids,
                                               std::string_view cache_salt) const;
  // What the instance of the board's index is called.
  static std::string NameOf(int index);
  RoutingPolicyKind policy() const { return options_.queue.policy.kind; }

  // What is served, with the smallest limits of all instances; waits up to `timeout`
  // for the first one. Errors: UNAVAILABLE while no instance has been seen.
  absl::StatusOr<v1::ModelInfo> GetModelInfo(absl::Duration timeout);

  std::vector<InstanceSnapshot> Snapshot() const;
  int waiting_count() const;
  int background_waiting_count() const;
  // How long a request may wait while no instance serves.
  absl::Duration no_instance_timeout() const { return options_.queue.no_instance_timeout; }

 private:
  using Calls = std::vector<std::pair<Callback, absl::StatusOr<Lease>>>;
  using Instances = std::map<int, std::shared_ptr<Instance>>;  // by the board's index

  // From the watchers.
  void OnInfo(Instance& instance, const v1::ModelInfo& info);
  void OnLoad(Instance& instance, const v1::Load& load);
  void OnLost(Instance& instance, bool silent);

  Instance& AddLocked(const std::string& address) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // That of the connection to `address`: its certificate's host may be known from a source.
  TlsFiles TlsOfLocked(const std::string& address) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Null if there is none, or it is being removed.
  Instance* FindByAddressLocked(std::string_view address) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<Instance*> FindLocked(std::string_view name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DrainLocked(Instance& instance) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RemoveLocked(Instance& instance) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Takes out those to be removed where nothing runs any more; let go of them without the lock.
  std::vector<std::shared_ptr<Instance>> ReapLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  InstanceSnapshot SnapshotLocked(const Instance& instance) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RefreshModelInfoLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void NoteLoadLocked(Instance& instance, const v1::Load& load) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Release(int instance);
  // The connection of the lease's time is no good; another one may be by now.
  void MarkDownLocked(const Lease& lease) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Ends waits that take too long, opens breakers half and removes instances.
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
  CondVar changed_;   // stopping_, unsettled_, deadlines, model_info_, instances to remove
  CondVar released_;  // a slot
  SlotBoard board_ ABSL_GUARDED_BY(mu_);
  std::map<Ticket, Callback> callbacks_ ABSL_GUARDED_BY(mu_);
  std::optional<v1::ModelInfo> model_info_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, int> makes_ ABSL_GUARDED_BY(mu_);  // by fingerprint
  std::mt19937_64 dice_ ABSL_GUARDED_BY(mu_);
  bool unsettled_ ABSL_GUARDED_BY(mu_) = false;  // the timer has to call SettleLocked
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  Instances instances_ ABSL_GUARDED_BY(mu_);
  std::map<InstanceSource, std::set<std::string>> wanted_ ABSL_GUARDED_BY(mu_);
  std::map<InstanceSource, std::string> hosts_ ABSL_GUARDED_BY(mu_);  // of certificates
  std::atomic<int> block_tokens_;                                     // of an instance's KV blocks
  std::thread timer_;
};

}  // namespace vallm::gateway

#endif  // VALLM_GATEWAY_ROUTING_INSTANCE_POOL_H_
