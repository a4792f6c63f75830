#include "gateway/routing/instance_pool.h"

#include <glog/logging.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/grpc_channel.h"
#include "common/status_macros.h"
#include "common/strings.h"
#include "gateway/routing/instance_address.h"
#include "gateway/routing/load_change.h"

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

// Until an instance has said what its blocks are.
constexpr int kDefaultBlockTokens = 16;

}  // namespace

const char* NameOf(InstanceSource source) {
  switch (source) {
    case InstanceSource::kFlag:
      return "flag";
    case InstanceSource::kFile:
      return "file";
    case InstanceSource::kDns:
      return "dns";
    case InstanceSource::kAdmin:
      return "admin";
  }
  return "unknown";
}

// Fields without a mark are constant.
struct InstancePool::Instance final : InstanceWatcher::Listener {
  Instance(InstancePool& owner, int instance_index, const std::string& instance_address,
           const TlsFiles& tls)
      : pool(owner),
        index(instance_index),
        name(NameOf(instance_index)),
        address(instance_address),
        channel(NewChannel(instance_address, tls)),
        stub(v1::Engine::NewStub(channel)),
        stream(channel),
        breaker(owner.options_.breaker) {}

  void OnInfo(const v1::ModelInfo& info) override { pool.OnInfo(*this, info); }
  void OnLoad(const v1::Load& new_load) override { pool.OnLoad(*this, new_load); }
  void OnLost(bool is_silent) override { pool.OnLost(*this, is_silent); }

  // What the operator wants of it.
  enum class Admin { kEnabled, kDrained, kRemoving };

  InstancePool& pool;
  const int index;
  const std::string name;
  const std::string address;
  const std::shared_ptr<grpc::Channel> channel;
  const std::shared_ptr<v1::Engine::Stub> stub;
  EngineStream stream;
  const std::shared_ptr<InstanceCondition> condition = std::make_shared<InstanceCondition>();

  // Guarded by the pool's mu_.
  std::unique_ptr<InstanceWatcher> watcher;  // until removed
  std::set<InstanceSource> sources;
  Admin admin = Admin::kEnabled;
  bool removed = false;    // nobody knows it any more but leases that are ending
  bool serving = false;    // so it says
  bool doubted = false;    // marked down: what the old connection still says does not count
  int64_t connection = 0;  // counts how often it was lost
  std::string state = "unreachable";
  std::optional<absl::Time> reached_since;
  std::optional<v1::ModelInfo> info;
  int make = 0;  // its fingerprint as a number
  int limit = 1;
  v1::Load load;       // empty while unreachable
  v1::Load last_load;  // as last reported, on whichever connection
  int64_t restarts = 0;
  int64_t cache_losses = 0;
  CircuitBreaker breaker;
  CircuitBreaker::State breaker_state = CircuitBreaker::State::kClosed;  // that the board knows
  int64_t breaker_openings = 0;
};

InstancePool::Lease::Lease(InstancePool* pool, std::shared_ptr<Instance> instance,
                           const SlotBoard::Choice& choice, absl::Duration waited)
    : pool_(pool),
      instance_(std::move(instance)),
      choice_(choice),
      connection_(instance_->connection),
      make_(instance_->make),
      granted_(absl::Now()),
      waited_(waited) {}

InstancePool::Lease::Lease(Lease&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)),
      instance_(std::move(other.instance_)),
      choice_(other.choice_),
      connection_(other.connection_),
      make_(other.make_),
      granted_(other.granted_),
      waited_(other.waited_) {}

InstancePool::Lease::~Lease() {
  if (pool_ != nullptr) pool_->Release(choice_.instance);
}

const std::string& InstancePool::Lease::name() const { return instance_->name; }

std::shared_ptr<v1::Engine::Stub> InstancePool::Lease::stub() const { return instance_->stub; }

EngineStream& InstancePool::Lease::stream() const { return instance_->stream; }

std::shared_ptr<const InstanceCondition> InstancePool::Lease::condition() const {
  return instance_->condition;
}

void InstancePool::Lease::ReportSuccess() {
  MutexLock lock(pool_->mu_);
  instance_->breaker.OnSuccess(granted_);
  if (pool_->RefreshBreakersLocked(absl::Now())) pool_->changed_.NotifyAll();
}

void InstancePool::Lease::ReportRefusal() {
  MutexLock lock(pool_->mu_);
  pool_->MarkDownLocked(*this);
}

void InstancePool::Lease::ReportFailure() {
  MutexLock lock(pool_->mu_);
  const absl::Time now = absl::Now();
  const double jitter = std::uniform_real_distribution<>(0, 1)(pool_->dice_);
  instance_->breaker.OnFailure(granted_, now, jitter);
  if (pool_->RefreshBreakersLocked(now)) pool_->changed_.NotifyAll();
  pool_->MarkDownLocked(*this);
}

InstancePool::InstancePool(const InstancePoolOptions& options)
    : options_(options),
      board_(options.queue),
      dice_(std::random_device()()),
      block_tokens_(kDefaultBlockTokens) {
  SetAddresses(InstanceSource::kFlag, options.addresses);
  timer_ = std::thread([this] { KeepTime(); });
}

InstancePool::~InstancePool() {
  Instances instances;
  {
    MutexLock lock(mu_);
    // Cancelled calls give their slots back a moment later than those who cancelled them leave.
    while (AnyInFlightLocked()) released_.Wait(mu_);
    stopping_ = true;
    changed_.NotifyAll();
    instances.swap(instances_);
    for (auto& [index, instance] : instances) instance->removed = true;
  }
  timer_.join();
  for (auto& [index, instance] : instances) instance->watcher.reset();
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
    board_.Release(instance, absl::Now());
    calls = SettleLocked();
    released_.NotifyAll();
    // The last one to leave an instance that is to be removed.
    if (instances_.at(instance)->admin == Instance::Admin::kRemoving) changed_.NotifyAll();
  }
  Run(std::move(calls));
}

bool InstancePool::AnyInFlightLocked() const {
  return std::any_of(instances_.begin(), instances_.end(),
                     [this](const auto& entry) { return board_.in_flight(entry.first) > 0; });
}

InstancePool::Calls InstancePool::SettleLocked() {
  Calls calls;
  for (SlotBoard::Decision& decision : board_.Settle(absl::Now())) {
    auto entry = callbacks_.extract(decision.ticket);
    if (decision.choice.ok()) {
      calls.emplace_back(
          std::move(entry.mapped()),
          Lease(this, instances_.at(decision.choice->instance), *decision.choice, decision.waited));
    } else {
      calls.emplace_back(std::move(entry.mapped()), decision.choice.status());
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
    if (std::vector<std::shared_ptr<Instance>> removed = ReapLocked(); !removed.empty()) {
      mu_.Unlock();
      // Its thread may be about to report something; leases that are ending need no watcher.
      for (const auto& instance : removed) instance->watcher.reset();
      mu_.Lock();
      continue;
    }
    const absl::Time now = absl::Now();
    if (RefreshBreakersLocked(now)) unsettled_ = true;
    absl::Time next = board_.NextDeadline();
    for (const auto& [index, instance] : instances_) {
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

std::vector<std::shared_ptr<InstancePool::Instance>> InstancePool::ReapLocked() {
  std::vector<std::shared_ptr<Instance>> removed;
  for (auto entry = instances_.begin(); entry != instances_.end();) {
    Instance& instance = *entry->second;
    if (instance.admin != Instance::Admin::kRemoving || board_.in_flight(entry->first) > 0) {
      ++entry;
      continue;
    }
    LOG(INFO) << instance.name << " at " << instance.address << " is removed";
    instance.removed = true;
    board_.RemoveInstance(entry->first);
    removed.push_back(std::move(entry->second));
    entry = instances_.erase(entry);
  }
  if (!removed.empty()) RefreshModelInfoLocked();
  return removed;
}

void InstancePool::SetAddresses(InstanceSource source, const std::vector<std::string>& addresses,
                                const std::string& host) {
  MutexLock lock(mu_);
  std::set<std::string>& wanted = wanted_[source];
  if (!host.empty()) hosts_[source] = host;
  const std::set<std::string> before = std::exchange(wanted, {addresses.begin(), addresses.end()});
  for (const std::string& address : addresses) {
    if (before.count(address) > 0) continue;
    Instance* known = FindByAddressLocked(address);
    (known != nullptr ? *known : AddLocked(address)).sources.insert(source);
  }
  for (const std::string& address : before) {
    Instance* instance = wanted.count(address) > 0 ? nullptr : FindByAddressLocked(address);
    if (instance == nullptr) continue;
    instance->sources.erase(source);
    if (instance->sources.empty()) RemoveLocked(*instance);
  }
}

TlsFiles InstancePool::TlsOfLocked(const std::string& address) const {
  TlsFiles tls = options_.tls;
  if (tls.ca.empty() || !tls.server_name.empty()) return tls;
  for (const auto& [source, host] : hosts_) {
    if (wanted_.at(source).count(address) > 0) tls.server_name = host;
  }
  return tls;
}

InstancePool::Instance& InstancePool::AddLocked(const std::string& address) {
  const int index = board_.AddInstance();
  auto instance = std::make_shared<Instance>(*this, index, address, TlsOfLocked(address));
  // Its reports wait for mu_.
  instance->watcher =
      std::make_unique<InstanceWatcher>(instance->channel, options_.watch, *instance);
  LOG(INFO) << instance->name << " is at " << address;
  return *instances_.emplace(index, std::move(instance)).first->second;
}

InstancePool::Instance* InstancePool::FindByAddressLocked(std::string_view address) {
  for (const auto& [index, instance] : instances_) {
    if (instance->address == address && instance->admin != Instance::Admin::kRemoving) {
      return instance.get();
    }
  }
  return nullptr;
}

absl::StatusOr<InstancePool::Instance*> InstancePool::FindLocked(std::string_view name) {
  for (const auto& [index, instance] : instances_) {
    if (instance->name == name) return instance.get();
  }
  return absl::NotFoundError(absl::StrCat("there is no instance \"", ToAbsl(name), "\""));
}

absl::StatusOr<InstanceSnapshot> InstancePool::Add(const std::string& address) {
  VALLM_RETURN_IF_ERROR(CheckInstanceAddress(address));
  MutexLock lock(mu_);
  if (const Instance* known = FindByAddressLocked(address)) {
    return absl::AlreadyExistsError(
        absl::StrCat("there is an instance at ", address, " already: ", known->name));
  }
  Instance& instance = AddLocked(address);
  instance.sources.insert(InstanceSource::kAdmin);
  return SnapshotLocked(instance);
}

absl::StatusOr<InstanceSnapshot> InstancePool::Drain(std::string_view name) {
  MutexLock lock(mu_);
  VALLM_ASSIGN_OR_RETURN(Instance* const instance, FindLocked(name));
  if (instance->admin == Instance::Admin::kEnabled) {
    LOG(INFO) << instance->name << " at " << instance->address << " is drained by hand";
    instance->admin = Instance::Admin::kDrained;
    DrainLocked(*instance);
  }
  return SnapshotLocked(*instance);
}

absl::StatusOr<InstanceSnapshot> InstancePool::Enable(std::string_view name) {
  MutexLock lock(mu_);
  VALLM_ASSIGN_OR_RETURN(Instance* const instance, FindLocked(name));
  if (instance->admin == Instance::Admin::kRemoving) {
    return absl::FailedPreconditionError(absl::StrCat(instance->name, " is being removed"));
  }
  if (instance->admin == Instance::Admin::kDrained) {
    LOG(INFO) << instance->name << " at " << instance->address << " is enabled by hand";
    instance->admin = Instance::Admin::kEnabled;
    instance->condition->draining = instance->load.state() == v1::INSTANCE_STATE_DRAINING;
    UpdateBoardLocked(*instance);
    unsettled_ = true;  // somebody may have waited for it
    changed_.NotifyAll();
  }
  return SnapshotLocked(*instance);
}

absl::StatusOr<InstanceSnapshot> InstancePool::Remove(std::string_view name) {
  MutexLock lock(mu_);
  VALLM_ASSIGN_OR_RETURN(Instance* const instance, FindLocked(name));
  RemoveLocked(*instance);
  return SnapshotLocked(*instance);
}

void InstancePool::DrainLocked(Instance& instance) {
  instance.condition->draining = true;
  UpdateBoardLocked(instance);
  changed_.NotifyAll();  // deadlines depend on whether anyone serves
}

void InstancePool::RemoveLocked(Instance& instance) {
  if (instance.admin == Instance::Admin::kRemoving) return;
  LOG(INFO) << instance.name << " at " << instance.address << " is to be removed";
  instance.admin = Instance::Admin::kRemoving;
  instance.sources.clear();
  DrainLocked(instance);
}

bool InstancePool::RefreshBreakersLocked(absl::Time now) {
  bool changed = false;
  for (auto& [index, entry] : instances_) {
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
  const bool serving = instance.serving && instance.admin == Instance::Admin::kEnabled &&
                       breaker != CircuitBreaker::State::kOpen;
  const int limit = breaker == CircuitBreaker::State::kHalfOpen ? 1 : instance.limit;
  board_.UpdateInstance(instance.index, serving, limit,
                        instance.load.running_count() + instance.load.waiting_count());
}

void InstancePool::OnInfo(Instance& instance, const v1::ModelInfo& info) {
  instance.condition->silent = false;
  MutexLock lock(mu_);
  if (instance.removed) return;
  instance.doubted = false;
  instance.reached_since = absl::Now();
  instance.limit = options_.max_batch_size_for_instance > 0 ? options_.max_batch_size_for_instance
                                                            : info.max_batch_size();
  const bool other_than_before =
      !instance.info.has_value() || instance.info->fingerprint() != info.fingerprint();
  instance.info = info;
  RefreshModelInfoLocked();
  instance.make =
      makes_.try_emplace(info.fingerprint(), static_cast<int>(makes_.size())).first->second;
  board_.SetMake(instance.index, instance.make);
  if (other_than_before && info.fingerprint() != model_info_->fingerprint()) {
    LOG(WARNING) << instance.name << " at " << instance.address
                 << " has other weights or numerics (" << info.fingerprint()
                 << ") than the instance seen first (" << model_info_->fingerprint()
                 << "): answers do not move between the two";
  }
  changed_.NotifyAll();
}

// The first instance's, with the smallest limits of all; the last one's goes on to be known.
void InstancePool::RefreshModelInfoLocked() {
  std::optional<v1::ModelInfo> common;
  for (const auto& [index, instance] : instances_) {
    if (!instance->info.has_value()) continue;
    const v1::ModelInfo& info = *instance->info;
    if (!common.has_value()) common = info;
    common->set_max_model_len(std::min(common->max_model_len(), info.max_model_len()));
    common->set_max_input_len(std::min(common->max_input_len(), info.max_input_len()));
  }
  if (common.has_value()) model_info_ = std::move(common);
}

void InstancePool::OnLoad(Instance& instance, const v1::Load& load) {
  Calls calls;
  {
    MutexLock lock(mu_);
    if (instance.removed) return;
    const bool serving = load.state() == v1::INSTANCE_STATE_SERVING && !instance.doubted;
    if (serving != instance.serving) {
      LOG(INFO) << instance.name << " at " << instance.address << " is " << StateName(load.state());
    }
    NoteLoadLocked(instance, load);
    instance.condition->draining =
        load.state() == v1::INSTANCE_STATE_DRAINING || instance.admin != Instance::Admin::kEnabled;
    instance.serving = serving;
    instance.state = StateName(load.state());
    UpdateBoardLocked(instance);
    calls = SettleLocked();
    changed_.NotifyAll();  // deadlines depend on whether anyone serves
  }
  Run(std::move(calls));
}

void InstancePool::NoteLoadLocked(Instance& instance, const v1::Load& load) {
  const v1::Load& before = instance.last_load;
  // What its loop alone can change: a prompt in parts takes blocks long before the first token.
  if (load.generated_token_count() != before.generated_token_count() ||
      load.free_kv_block_count() != before.free_kv_block_count() ||
      load.preemption_count() != before.preemption_count()) {
    instance.condition->last_progress_ns = absl::ToUnixNanos(absl::Now());
  }
  const LoadChange change = CompareLoads(before, load);
  if (change != LoadChange::kNone) {
    ++(change == LoadChange::kRestarted ? instance.restarts : instance.cache_losses);
    board_.OnCacheLost(instance.index);
  }
  const int64_t blocks = load.total_kv_block_count();
  if (blocks > 0 && instance.info.has_value()) {
    board_.SetCapacity(instance.index, blocks);
    const int64_t tokens = instance.info->kv_cache_token_count() / blocks;
    if (tokens > 0) block_tokens_ = static_cast<int>(tokens);
  }
  instance.load = instance.last_load = load;
}

void InstancePool::OnLost(Instance& instance, bool silent) {
  MutexLock lock(mu_);
  if (instance.removed) return;
  if (instance.serving) {
    LOG(WARNING) << instance.name << " at " << instance.address
                 << (silent ? " does not answer" : " is unreachable");
  }
  if (silent) instance.condition->silent = true;
  instance.condition->draining = instance.admin != Instance::Admin::kEnabled;
  instance.serving = false;
  instance.reached_since.reset();
  ++instance.connection;
  instance.state = "unreachable";
  instance.load.Clear();
  UpdateBoardLocked(instance);
  changed_.NotifyAll();
}

void InstancePool::MarkDownLocked(const Lease& lease) {
  Instance& instance = *lease.instance_;
  if (instance.connection != lease.connection_ || instance.doubted) return;
  instance.doubted = true;
  instance.serving = false;
  instance.state = "unreachable";
  UpdateBoardLocked(instance);
  changed_.NotifyAll();
  // A new connection begins with the instance's state, whatever it is.
  instance.watcher->Reconnect();
}

SlotBoard::Explanation InstancePool::Explain(const SlotRequest& request) const {
  MutexLock lock(mu_);
  return board_.Explain(request, absl::Now());
}

std::string InstancePool::NameOf(int index) { return absl::StrCat("engine-", index); }

std::optional<absl::Duration> InstancePool::ExpectedWait() const {
  MutexLock lock(mu_);
  return board_.ExpectedWait(absl::Now());
}

std::shared_ptr<const PromptBlocks> InstancePool::BlocksOf(absl::Span<const int32_t> token_ids,
                                                           std::string_view cache_salt) const {
  if (policy() != RoutingPolicyKind::kPrefixAware) return nullptr;
  return std::make_shared<const PromptBlocks>(
      HashPromptBlocks(token_ids, cache_salt, block_tokens_));
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
  for (const auto& [index, instance] : instances_) snapshots.push_back(SnapshotLocked(*instance));
  return snapshots;
}

InstanceSnapshot InstancePool::SnapshotLocked(const Instance& instance) const {
  const int in_flight = board_.in_flight(instance.index);
  const InstanceCondition& condition = *instance.condition;
  std::string admin_state = "enabled";
  if (instance.admin == Instance::Admin::kRemoving) admin_state = "removing";
  if (instance.admin == Instance::Admin::kDrained) {
    admin_state = in_flight > 0 ? "draining" : "drained";
  }
  std::optional<absl::Time> last_progress;
  if (condition.last_progress_ns != 0) last_progress = condition.last_progress();
  return {.name = instance.name,
          .address = instance.address,
          .sources = {instance.sources.begin(), instance.sources.end()},
          .serving = instance.serving && instance.admin == Instance::Admin::kEnabled &&
                     instance.breaker_state != CircuitBreaker::State::kOpen,
          .state = instance.state,
          .admin_state = std::move(admin_state),
          .silent = condition.silent,
          .in_flight = in_flight,
          .limit = instance.limit,
          .breaker = instance.breaker_state,
          .breaker_openings = instance.breaker_openings,
          .restarts = instance.restarts,
          .cache_losses = instance.cache_losses,
          .recorded_blocks = board_.recorded_blocks(instance.index),
          .reached_since = instance.reached_since,
          .last_progress = last_progress,
          .info = instance.info,
          .load = instance.load};
}

int InstancePool::waiting_count() const {
  MutexLock lock(mu_);
  return board_.waiting_count();
}

int InstancePool::background_waiting_count() const {
  MutexLock lock(mu_);
  return board_.background_waiting_count();
}

}  // namespace vallm::gateway
