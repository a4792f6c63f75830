#include "gateway/routing/instance_pool.h"

#include <glog/logging.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/grpc_channel.h"

namespace vallm::gateway {
namespace {

constexpr std::chrono::milliseconds kReconnectDelay(200);
constexpr std::chrono::seconds kInfoTimeout(5);

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
struct InstancePool::Instance {
  int index;
  std::string name;
  std::string address;
  std::shared_ptr<v1::Engine::Stub> stub;
  std::thread watcher;

  // Guarded by the pool's mu_.
  bool serving = false;
  std::string state = "unreachable";
  int limit = 1;
  v1::Load load;
  grpc::ClientContext* context = nullptr;  // of the RPC that the watcher is in
};

InstancePool::Lease::Lease(Lease&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)),
      instance_(other.instance_),
      waited_(other.waited_) {}

InstancePool::Lease::~Lease() {
  if (pool_ != nullptr) pool_->Release(instance_);
}

const std::string& InstancePool::Lease::name() const { return pool_->instances_[instance_]->name; }

std::shared_ptr<v1::Engine::Stub> InstancePool::Lease::stub() const {
  return pool_->instances_[instance_]->stub;
}

void InstancePool::Lease::ReportUnavailable() { pool_->ReportUnavailable(instance_); }

InstancePool::InstancePool(const InstancePoolOptions& options)
    : options_(options), board_(options.queue) {
  for (const std::string& address : options.addresses) {
    auto instance = std::make_unique<Instance>();
    {
      MutexLock lock(mu_);
      instance->index = board_.AddInstance();
    }
    instance->name = absl::StrCat("engine-", instance->index);
    instance->address = address;
    instance->stub = v1::Engine::NewStub(NewChannel(address));
    instances_.push_back(std::move(instance));
  }
  for (auto& instance : instances_) {
    instance->watcher = std::thread([this, &entry = *instance] { Watch(entry); });
  }
  timer_ = std::thread([this] { EndOverdueWaits(); });
}

InstancePool::~InstancePool() {
  {
    MutexLock lock(mu_);
    // Cancelled calls give their slots back a moment later than those who cancelled them leave.
    while (AnyInFlightLocked()) released_.Wait(mu_);
    stopping_ = true;
    for (auto& instance : instances_) {
      if (instance->context != nullptr) instance->context->TryCancel();
    }
    changed_.NotifyAll();
    stop_.NotifyAll();
  }
  timer_.join();
  for (auto& instance : instances_) instance->watcher.join();
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
                         Lease(this, *decision.instance, decision.waited));
    } else {
      calls.emplace_back(std::move(entry.mapped()), decision.instance.status());
    }
  }
  return calls;
}

void InstancePool::Run(Calls calls) {
  for (auto& [callback, result] : calls) callback(std::move(result));
}

void InstancePool::EndOverdueWaits() {
  mu_.Lock();
  while (!stopping_) {
    const absl::Duration left = board_.NextDeadline() - absl::Now();
    if (left > absl::ZeroDuration()) {
      changed_.WaitFor(mu_, absl::ToChronoNanoseconds(std::min(left, absl::Minutes(1))));
      continue;
    }
    Calls calls = SettleLocked();
    mu_.Unlock();
    Run(std::move(calls));
    mu_.Lock();
  }
  mu_.Unlock();
}

void InstancePool::Watch(Instance& instance) {
  for (;;) {
    FollowLoad(instance);
    SetUnreachable(instance);
    MutexLock lock(mu_);
    if (!stopping_) stop_.WaitFor(mu_, kReconnectDelay);
    if (stopping_) return;
  }
}

// Keeps the instance's state up to date until its stream ends.
void InstancePool::FollowLoad(Instance& instance) {
  const auto begin_call = [&](grpc::ClientContext* context) {
    MutexLock lock(mu_);
    instance.context = context;
    return !stopping_;
  };
  {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kInfoTimeout);
    context.set_wait_for_ready(true);
    if (!begin_call(&context)) return;
    v1::ModelInfo info;
    const grpc::Status status = instance.stub->GetModelInfo(&context, {}, &info);
    begin_call(nullptr);
    if (!status.ok()) return;
    AddModelInfo(instance, info);
  }
  grpc::ClientContext context;
  if (!begin_call(&context)) return;
  auto reader = instance.stub->WatchLoad(&context, {});
  v1::Load load;
  while (reader->Read(&load)) {
    Calls calls;
    {
      MutexLock lock(mu_);
      const bool serving = load.state() == v1::INSTANCE_STATE_SERVING;
      if (serving != instance.serving) {
        LOG(INFO) << instance.name << " at " << instance.address << " is "
                  << StateName(load.state());
      }
      instance.serving = serving;
      instance.state = StateName(load.state());
      instance.load = load;
      board_.UpdateInstance(instance.index, serving, instance.limit,
                            load.running_count() + load.waiting_count());
      calls = SettleLocked();
      changed_.NotifyAll();  // deadlines depend on whether anyone serves
    }
    Run(std::move(calls));
  }
  begin_call(nullptr);
  reader->Finish();  // the reason does not matter: connect again
}

void InstancePool::SetUnreachable(Instance& instance) {
  MutexLock lock(mu_);
  if (instance.serving && !stopping_) {
    LOG(WARNING) << instance.name << " at " << instance.address << " is unreachable";
  }
  instance.serving = false;
  instance.state = "unreachable";
  instance.load.Clear();
  board_.UpdateInstance(instance.index, /*serving=*/false, instance.limit, /*reported_load=*/0);
}

void InstancePool::AddModelInfo(Instance& instance, const v1::ModelInfo& info) {
  MutexLock lock(mu_);
  instance.limit = options_.max_batch_size_for_instance > 0 ? options_.max_batch_size_for_instance
                                                            : info.max_batch_size();
  if (!model_info_.has_value()) {
    model_info_ = info;
  } else {
    model_info_->set_max_model_len(std::min(model_info_->max_model_len(), info.max_model_len()));
    model_info_->set_max_input_len(std::min(model_info_->max_input_len(), info.max_input_len()));
  }
  changed_.NotifyAll();
}

void InstancePool::ReportUnavailable(int index) {
  MutexLock lock(mu_);
  Instance& instance = *instances_[index];
  instance.serving = false;
  instance.state = "unreachable";
  board_.UpdateInstance(index, /*serving=*/false, instance.limit, /*reported_load=*/0);
  // A new stream begins with the instance's state, whatever it is.
  if (instance.context != nullptr) instance.context->TryCancel();
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
    snapshots.push_back({.name = instance->name,
                         .address = instance->address,
                         .serving = instance->serving,
                         .state = instance->state,
                         .in_flight = board_.in_flight(instance->index),
                         .limit = instance->limit,
                         .load = instance->load});
  }
  return snapshots;
}

int InstancePool::waiting_count() const {
  MutexLock lock(mu_);
  return board_.waiting_count();
}

}  // namespace vallm::gateway
