#include "gateway/routing/instance_pool.h"

#include <glog/logging.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/grpc_channel.h"

namespace vallm::gateway {
namespace {

std::string StateName(v1::InstanceState state) {
  switch (state) {
    case v1::INSTANCE_STATE_LOADING:
      return "loading";
    case v1::INSTANCE_STATE_SERVING:
      return "serving";
    case v1::INSTANCE_STATE_RESTARTING:
      return "restarting";
    case v1::INSTANCE_STATE_DRAINING:
      return "draining";
    default:
      return "unknown";
  }
}

}  // namespace

// Fields without a mark are constant.
struct InstancePool::Instance final : InstanceWatcher::Listener {
  using Counters = std::array<int64_t, 3>;

  Instance(InstancePool& owner, int instance_index, const std::string& instance_address)
      : pool(owner),
        index(instance_index),
        name(absl::StrCat("engine-", instance_index)),
        address(instance_address),
        channel(NewChannel(instance_address)),
        stub(v1::Engine::NewStub(channel)),
        breaker(owner.options_.breaker) {}

  void OnInfo(const v1::ModelInfo& info) override { pool.OnInfo(*this, info); }
  void OnLoad(const v1::Load& new_load) override { pool.OnLoad(*this, new_load); }
  void OnLost(bool is_silent) override { pool.OnLost(*this, is_silent); }

  InstancePool& pool;
  const int index;
  const std::string name;
  const std::string address;
  const std::shared_ptr<grpc::Channel> channel;
  const std::shared_ptr<v1::Engine::Stub> stub;
  std::unique_ptr<InstanceWatcher> watcher;

  // Read without a lock; last_progress in nanoseconds since the epoch.
  std::atomic<bool> draining{false};
  std::atomic<bool> silent{false};
  std::atomic<int64_t> last_progress{0};

  // Guarded by the pool's mu_.
  bool serving = false;    // so it says
  bool doubted = false;    // marked down: what the old connection still says does not count
  int64_t connection = 0;  // counts how often it was lost
  std::string state = "unreachable";
  std::string fingerprint;
  int make = 0;  // the same as a number
  int limit = 1;
  v1::Load load;
  Counters counters = {};  // as last reported, on whichever connection
  CircuitBreaker breaker;
  CircuitBreaker::State breaker_state = CircuitBreaker::State::kClosed;  // that the board knows
  int64_t breaker_openings = 0;
};

InstancePool::Lease::Lease(Lease&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)),
      instance_(other.instance_),
      connection_(other.connection_),
      make_(other.make_),
      granted_(other.granted_),
      waited_(other.waited_) {}

InstancePool::Lease::~Lease() {
  if (pool_ != nullptr) pool_->Release(instance_);
}

const std::string& InstancePool::Lease::name() const { return pool_->instances_[instance_]->name; }

std::shared_ptr<v1::Engine::Stub> InstancePool::Lease::stub() const {
  return pool_->instances_[instance_]->stub;
}

void InstancePool::Lease::ReportSuccess() {
  MutexLock lock(pool_->mu_);
  pool_->instances_[instance_]->breaker.OnSuccess(granted_);
  if (pool_->RefreshBreakersLocked(absl::Now())) pool_->changed_.NotifyAll();
}

void InstancePool::Lease::ReportRefusal() {
  MutexLock lock(pool_->mu_);
  pool_->MarkDownLocked(*this);
}

void InstancePool::Lease::ReportFailure() {
  MutexLock lock(pool_->mu_);
  Instance& instance = *pool_->instances_[instance_];
  const absl::Time now = absl::Now();
  const double jitter = std::uniform_real_distribution<>(0, 1)(pool_->dice_);
  instance.breaker.OnFailure(granted_, now, jitter);
  if (pool_->RefreshBreakersLocked(now)) pool_->changed_.NotifyAll();
  pool_->MarkDownLocked(*this);
}

InstancePool::InstancePool(const InstancePoolOptions& options)
    : options_(options), board_(options.queue), dice_(std::random_device()()) {
  for (const std::string& address : options.addresses) {
    MutexLock lock(mu_);
    instances_.push_back(std::make_unique<Instance>(*this, board_.AddInstance(), address));
  }
  for (auto& instance : instances_) {
    instance->watcher =
        std::make_unique<InstanceWatcher>(instance->channel, options.watch, *instance);
  }
  timer_ = std::thread([this] { KeepTime(); });
}

InstancePool::~InstancePool() {
  {
    MutexLock lock(mu_);
    // Cancelled calls give their slots back a moment later than those who cancelled them leave.
    while (AnyInFlightLocked()) released_.Wait(mu_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  timer_.join();
  for (auto& instance : instances_) instance->watcher.reset();
}

absl::StatusOr<InstancePool::Ticket> InstancePool::Acquire(const SlotRequest& request,
                                                           Callback callback) {
  Calls calls;
  absl::StatusOr<Ticket> ticket;
  {
    MutexLock lock(mu_);
    ticket = board_.Enqueue(absl::Now(), request);
    if (!ticket.ok()) return ticket;
    callbacks_.emplace(*ticket, std::move(callback));
    calls = SettleLocked();
    changed_.NotifyAll();  // the next deadline may be nearer
  }
  Run(std::move(calls));
  return ticket;
}

void InstancePool::Withdraw(Ticket ticket) {
  MutexLock lock(mu_);
  board_.Withdraw(ticket);
  callbacks_.erase(ticket);
}

void InstancePool::Release(int instance) {
  Calls calls;
  {
    MutexLock lock(mu_);
    board_.Release(instance);
    calls = SettleLocked();
    released_.NotifyAll();
  }
  Run(std::move(calls));
}

bool InstancePool::AnyInFlightLocked() const {
  for (const auto& instance : instances_) {
    if (board_.in_flight(instance->index) > 0) return true;
  }
  return false;
}

InstancePool::Calls InstancePool::SettleLocked() {
  Calls calls;
  for (SlotBoard::Decision& decision : board_.Settle(absl::Now())) {
    auto entry = callbacks_.extract(decision.ticket);
    if (decision.instance.ok()) {
      calls.emplace_back(std::move(entry.mapped()),
                         Lease(this, *decision.instance, instances_[*decision.instance]->connection,
                               instances_[*decision.instance]->make, decision.waited));
    } else {
      calls.emplace_back(std::move(entry.mapped()), decision.instance.status());
    }
  }
  return calls;
}

void InstancePool::Run(Calls calls) {
  for (auto& [callback, result] : calls) callback(std::move(result));
}

void InstancePool::KeepTime() {
  mu_.Lock();
  while (!stopping_) {
    const absl::Time now = absl::Now();
    if (RefreshBreakersLocked(now)) unsettled_ = true;
    absl::Time next = board_.NextDeadline();
    for (const auto& instance : instances_) {
      next = std::min(next, instance->breaker.half_open_time(now));
    }
    if (!unsettled_ && next > now) {
      changed_.WaitFor(mu_, absl::ToChronoNanoseconds(std::min(next - now, absl::Minutes(1))));
      continue;
    }
    unsettled_ = false;
    Calls calls = SettleLocked();
    mu_.Unlock();
    Run(std::move(calls));
    mu_.Lock();
  }
  mu_.Unlock();
}

bool InstancePool::RefreshBreakersLocked(absl::Time now) {
  bool changed = false;
  for (auto& entry : instances_) {
    Instance& instance = *entry;
    const CircuitBreaker::State state = instance.breaker.state(now);
    if (state == instance.breaker_state) continue;
    instance.breaker_state = state;
    if (state == CircuitBreaker::State::kOpen) {
      ++instance.breaker_openings;
      LOG(WARNING) << instance.name << " keeps failing: it gets no requests for "
                   << absl::FormatDuration(absl::Trunc(instance.breaker.half_open_time(now) - now,
                                                       absl::Milliseconds(1)));
    }
    UpdateBoardLocked(instance);
    unsettled_ = changed = true;
  }
  return changed;
}

void InstancePool::UpdateBoardLocked(Instance& instance) {
  const CircuitBreaker::State breaker = instance.breaker_state;
  const bool serving = instance.serving && breaker != CircuitBreaker::State::kOpen;
  const int limit = breaker == CircuitBreaker::State::kHalfOpen ? 1 : instance.limit;
  board_.UpdateInstance(instance.index, serving, limit,
                        instance.load.running_count() + instance.load.waiting_count());
}

void InstancePool::OnInfo(Instance& instance, const v1::ModelInfo& info) {
  instance.silent = false;
  MutexLock lock(mu_);
  instance.doubted = false;
  instance.limit = options_.max_batch_size_for_instance > 0 ? options_.max_batch_size_for_instance
                                                            : info.max_batch_size();
  if (!model_info_.has_value()) {
    model_info_ = info;
  } else {
    model_info_->set_max_model_len(std::min(model_info_->max_model_len(), info.max_model_len()));
    model_info_->set_max_input_len(std::min(model_info_->max_input_len(), info.max_input_len()));
  }
  instance.make =
      makes_.try_emplace(info.fingerprint(), static_cast<int>(makes_.size())).first->second;
  board_.SetMake(instance.index, instance.make);
  if (info.fingerprint() != model_info_->fingerprint() &&
      info.fingerprint() != instance.fingerprint) {
    LOG(WARNING) << instance.name << " at " << instance.address
                 << " has other weights or numerics (" << info.fingerprint()
                 << ") than the instance seen first (" << model_info_->fingerprint()
                 << "): answers do not move between the two";
  }
  instance.fingerprint = info.fingerprint();
  changed_.NotifyAll();
}

void InstancePool::OnLoad(Instance& instance, const v1::Load& load) {
  Calls calls;
  {
    MutexLock lock(mu_);
    const bool serving = load.state() == v1::INSTANCE_STATE_SERVING && !instance.doubted;
    if (serving != instance.serving) {
      LOG(INFO) << instance.name << " at " << instance.address << " is " << StateName(load.state());
    }
    // What its loop alone can change: a prompt in parts takes blocks long before the first token.
    const Instance::Counters counters = {load.generated_token_count(), load.free_kv_block_count(),
                                         load.preemption_count()};
    if (counters != instance.counters) instance.last_progress = absl::ToUnixNanos(absl::Now());
    instance.counters = counters;
    instance.draining = load.state() == v1::INSTANCE_STATE_DRAINING;
    instance.serving = serving;
    instance.state = StateName(load.state());
    instance.load = load;
    UpdateBoardLocked(instance);
    calls = SettleLocked();
    changed_.NotifyAll();  // deadlines depend on whether anyone serves
  }
  Run(std::move(calls));
}

void InstancePool::OnLost(Instance& instance, bool silent) {
  MutexLock lock(mu_);
  if (instance.serving) {
    LOG(WARNING) << instance.name << " at " << instance.address
                 << (silent ? " does not answer" : " is unreachable");
  }
  if (silent) instance.silent = true;
  instance.draining = false;
  instance.serving = false;
  ++instance.connection;
  instance.state = "unreachable";
  instance.load.Clear();
  UpdateBoardLocked(instance);
  changed_.NotifyAll();
}

void InstancePool::MarkDownLocked(const Lease& lease) {
  Instance& instance = *instances_[lease.instance_];
  if (instance.connection != lease.connection_ || instance.doubted) return;
  instance.doubted = true;
  instance.serving = false;
  instance.state = "unreachable";
  UpdateBoardLocked(instance);
  changed_.NotifyAll();
  // A new connection begins with the instance's state, whatever it is.
  instance.watcher->Reconnect();
}

InstanceCondition InstancePool::condition(int index) const {
  const Instance& instance = *instances_[index];
  return {.draining = instance.draining,
          .silent = instance.silent,
          .last_progress = absl::FromUnixNanos(instance.last_progress)};
}

absl::StatusOr<v1::ModelInfo> InstancePool::GetModelInfo(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  MutexLock lock(mu_);
  while (!model_info_.has_value()) {
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) {
      return absl::UnavailableError("no engine instance is serving yet");
    }
    changed_.WaitFor(mu_, absl::ToChronoNanoseconds(left));
  }
  return *model_info_;
}

std::vector<InstanceSnapshot> InstancePool::Snapshot() const {
  MutexLock lock(mu_);
  std::vector<InstanceSnapshot> snapshots;
  for (const auto& instance : instances_) {
    snapshots.push_back(
        {.name = instance->name,
         .address = instance->address,
         .serving = instance->serving && instance->breaker_state != CircuitBreaker::State::kOpen,
         .state = instance->state,
         .in_flight = board_.in_flight(instance->index),
         .limit = instance->limit,
         .breaker = instance->breaker_state,
         .breaker_openings = instance->breaker_openings,
         .load = instance->load});
  }
  return snapshots;
}

int InstancePool::waiting_count() const {
  MutexLock lock(mu_);
  return board_.waiting_count();
}

}  // namespace vallm::gateway
