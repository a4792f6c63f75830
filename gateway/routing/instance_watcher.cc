#include "gateway/routing/instance_watcher.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <utility>

#include "absl/time/clock.h"
#include "common/grpc_status.h"

namespace vallm::gateway {
namespace {

constexpr std::chrono::milliseconds kReconnectDelay(200);
constexpr absl::Duration kInfoTimeout = absl::Seconds(5);
constexpr char kHealthCheck[] = "/grpc.health.v1.Health/Check";

void SetDeadline(grpc::ClientContext& context, absl::Duration timeout) {
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
}

}  // namespace

// Lives on the watcher thread's stack until load_ended_.
class InstanceWatcher::LoadCall final : public grpc::ClientReadReactor<v1::Load> {
 public:
  explicit LoadCall(InstanceWatcher& watcher) : watcher_(watcher) {}

  void Start() {
    watcher_.stub_->async()->WatchLoad(&context_, &request_, this);
    StartRead(&load_);
    StartCall();
  }
  void Cancel() { context_.TryCancel(); }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return;  // OnDone follows
    watcher_.OnLoad(load_);
    StartRead(&load_);
  }
  void OnDone(const grpc::Status& /*status*/) override { watcher_.OnLoadDone(); }

  InstanceWatcher& watcher_;
  grpc::ClientContext context_;
  v1::WatchLoadRequest request_;
  v1::Load load_;
};

InstanceWatcher::InstanceWatcher(const std::shared_ptr<grpc::Channel>& channel,
                                 const InstanceWatcherOptions& options, Listener& listener)
    : options_(options),
      listener_(listener),
      stub_(v1::Engine::NewStub(channel)),
      generic_stub_(channel),
      thread_([this] { Run(); }) {}

InstanceWatcher::~InstanceWatcher() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
    if (context_ != nullptr) context_->TryCancel();
    wake_.NotifyAll();
  }
  thread_.join();
}

void InstanceWatcher::Reconnect() {
  MutexLock lock(mu_);
  reconnect_ = true;
  if (context_ != nullptr) context_->TryCancel();
  wake_.NotifyAll();
}

bool InstanceWatcher::Begin(grpc::ClientContext* context) {
  MutexLock lock(mu_);
  context_ = context;
  return !stopping_ && !reconnect_ && !load_ended_;
}

void InstanceWatcher::Run() {
  for (;;) {
    const bool silent = Follow();
    {
      MutexLock lock(mu_);
      if (stopping_) return;
    }
    listener_.OnLost(silent);
    MutexLock lock(mu_);
    if (!stopping_) wake_.WaitFor(mu_, kReconnectDelay);
    if (stopping_) return;
    reconnect_ = false;
  }
}

bool InstanceWatcher::Follow() {
  {
    MutexLock lock(mu_);
    load_ended_ = false;
  }
  if (const absl::Status status = GetInfo(); !status.ok()) {
    return absl::IsDeadlineExceeded(status);
  }
  LoadCall call(*this);
  call.Start();
  bool silent = false;
  for (;;) {
    {
      MutexLock lock(mu_);
      if (!stopping_ && !reconnect_ && !load_ended_) {
        wake_.WaitFor(mu_, absl::ToChronoNanoseconds(options_.probe_interval));
      }
      if (stopping_ || reconnect_ || load_ended_) break;
    }
    silent = absl::IsDeadlineExceeded(Probe());
    if (silent) break;
  }
  call.Cancel();
  MutexLock lock(mu_);
  while (!load_ended_) wake_.Wait(mu_);
  return silent;
}

absl::Status InstanceWatcher::GetInfo() {
  grpc::ClientContext context;
  SetDeadline(context, kInfoTimeout);
  context.set_wait_for_ready(true);
  v1::ModelInfo info;
  absl::Status status = absl::CancelledError();
  if (Begin(&context)) status = FromGrpc(stub_->GetModelInfo(&context, {}, &info));
  Begin(nullptr);
  if (status.ok()) listener_.OnInfo(info);
  return status;
}

// grpc.health.v1.Health/Check of the whole server, as bytes: the distribution ships no generated
// code for it. That there is an answer is all that counts; what the state is WatchLoad says.
absl::Status InstanceWatcher::Probe() {
  const grpc::Slice nothing;
  const grpc::ByteBuffer request(&nothing, 1);
  grpc::ClientContext context;
  SetDeadline(context, options_.probe_timeout);
  if (!Begin(&context)) {
    Begin(nullptr);
    return absl::CancelledError();
  }
  grpc::CompletionQueue queue;
  const auto call = generic_stub_.PrepareUnaryCall(&context, kHealthCheck, request, &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  Begin(nullptr);
  return FromGrpc(status);
}

void InstanceWatcher::OnLoad(const v1::Load& load) { listener_.OnLoad(load); }

void InstanceWatcher::OnLoadDone() {
  MutexLock lock(mu_);
  load_ended_ = true;
  if (context_ != nullptr) context_->TryCancel();
  wake_.NotifyAll();
}

}  // namespace vallm::gateway
