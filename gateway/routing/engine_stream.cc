#include "gateway/routing/engine_stream.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <deque>
#include <thread>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/engine_trailers.h"
#include "common/grpc_channel.h"
#include "common/grpc_status.h"

namespace vallm::gateway {
namespace {

constexpr size_t kMaxStartBytes = kMaxGrpcMessageBytes - 1024;

}  // namespace

// How many calls gRPC has not done with.
class EngineStream::OpenCalls {
 public:
  void Opened() {
    MutexLock lock(mu_);
    ++count_;
  }
  void Ended() {
    MutexLock lock(mu_);
    --count_;
    ended_.NotifyAll();
  }
  void WaitForAll() {
    MutexLock lock(mu_);
    while (count_ > 0) ended_.Wait(mu_);
  }

 private:
  Mutex mu_;
  CondVar ended_;
  int count_ ABSL_GUARDED_BY(mu_) = 0;
};

// One stream, from its start to its end. Keeps itself alive until OnDone.
class EngineStream::Call final
    : public grpc::ClientBidiReactor<v1::GenerateCommand, v1::GenerateEvents>,
      public std::enable_shared_from_this<Call> {
 public:
  explicit Call(std::shared_ptr<OpenCalls> open_calls) : open_calls_(std::move(open_calls)) {}

  void Open(v1::Engine::Stub& stub) {
    self_ = shared_from_this();
    open_calls_->Opened();
    stub.async()->GenerateMany(&context_, this);
    AddHold();  // for the writes, which start outside of gRPC's calls
    StartRead(&events_);
    StartCall();
  }

  // False once the stream is over; nothing was started then.
  bool Start(uint64_t id, v1::GenerateStart& start, std::shared_ptr<EngineRunListener>& listener) {
    v1::GenerateCommand command;
    MutexLock lock(mu_);
    if (over_) return false;
    command.set_id(id);
    *command.mutable_start() = std::move(start);
    runs_.emplace(id, Entry{std::move(listener)});
    SayLocked(std::move(command));
    return true;
  }

  void CancelRun(uint64_t id) {
    std::shared_ptr<EngineRunListener> dropped;  // destroyed without the lock
    MutexLock lock(mu_);
    const auto it = runs_.find(id);
    if (it == runs_.end()) return;
    dropped = std::move(it->second.listener);
    runs_.erase(it);
    if (over_) return;
    v1::GenerateCommand command;
    command.set_id(id);
    command.mutable_cancel();
    SayLocked(std::move(command));
  }

  void BreakOff() { context_.TryCancel(); }
  // Whether the calling thread is gRPC's, and tells a listener of this stream something.
  bool IsTelling() const { return teller_ == std::this_thread::get_id(); }

 private:
  struct Entry {
    std::shared_ptr<EngineRunListener> listener;
    bool admitted = false;
  };

  void SayLocked(v1::GenerateCommand command) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    commands_.push_back(std::move(command));
    if (commands_.size() == 1) StartWrite(&commands_.front());
  }

  void OnWriteDone(bool ok) override {
    MutexLock lock(mu_);
    // After a failure nothing is written any more: OnReadDone hears of the end as well.
    if (!ok) return;
    commands_.pop_front();
    if (!commands_.empty() && !over_) StartWrite(&commands_.front());
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      MutexLock lock(mu_);
      over_ = true;
      RemoveHold();
      return;  // OnDone follows
    }
    teller_ = std::this_thread::get_id();
    for (const v1::GenerateEvent& event : events_.events()) Tell(event);
    teller_ = std::thread::id();
    StartRead(&events_);
  }

  void Tell(const v1::GenerateEvent& event) {
    std::shared_ptr<EngineRunListener> listener;
    {
      MutexLock lock(mu_);
      const auto it = runs_.find(event.id());
      if (it == runs_.end()) return;  // cancelled
      it->second.admitted |= event.admitted();
      listener = it->second.listener;
      if (event.has_end()) runs_.erase(it);
    }
    if (event.admitted()) listener->OnAdmitted();
    if (event.has_chunk()) listener->OnChunk(event.chunk());
    if (!event.has_end()) return;
    const v1::GenerateEnd& end = event.end();
    listener->OnEnd({.status = FromGrpc({static_cast<grpc::StatusCode>(end.code()), end.message()}),
                     .answered = true,
                     .refused = end.refused()});
  }

  void OnDone(const grpc::Status& status) override {
    const auto& trailers = context_.GetServerTrailingMetadata();
    const bool answered = trailers.find(kAnsweredTrailer) != trailers.end();
    std::unordered_map<uint64_t, Entry> lost;
    {
      MutexLock lock(mu_);
      lost.swap(runs_);
    }
    teller_ = std::this_thread::get_id();
    // OK would be the end of an answer, and this is none.
    const absl::Status why =
        status.ok() ? absl::UnavailableError("the engine has closed the stream") : FromGrpc(status);
    for (const auto& [id, run] : lost) {
      // An engine that closes the stream itself runs nothing that it has not admitted.
      run.listener->OnEnd(
          {.status = why, .answered = answered, .refused = answered && !run.admitted});
    }
    lost.clear();
    const std::shared_ptr<OpenCalls> open_calls = open_calls_;
    self_.reset();  // maybe the end of this object
    open_calls->Ended();
  }

  const std::shared_ptr<OpenCalls> open_calls_;
  std::shared_ptr<Call> self_;  // until OnDone
  std::atomic<std::thread::id> teller_{std::thread::id()};
  grpc::ClientContext context_;
  v1::GenerateEvents events_;  // gRPC's, while it reads
  Mutex mu_;
  std::unordered_map<uint64_t, Entry> runs_ ABSL_GUARDED_BY(mu_);
  // To be said; the first is under way. A deque: they stay where they are.
  std::deque<v1::GenerateCommand> commands_ ABSL_GUARDED_BY(mu_);
  bool over_ ABSL_GUARDED_BY(mu_) = false;  // nothing can be said any more
};

void EngineStream::Run::Cancel() {
  if (const std::shared_ptr<Call> call = call_.lock()) call->CancelRun(id_);
}

EngineStream::EngineStream(std::shared_ptr<v1::Engine::Stub> stub)
    : stub_(std::move(stub)), open_calls_(std::make_shared<OpenCalls>()) {}

EngineStream::~EngineStream() {
  MutexLock lock(mu_);
  if (call_ == nullptr) return;
  call_->BreakOff();
  if (!call_->IsTelling()) open_calls_->WaitForAll();
}

absl::StatusOr<EngineStream::Run> EngineStream::Start(v1::GenerateStart start,
                                                      std::shared_ptr<EngineRunListener> listener) {
  if (const size_t size = start.ByteSizeLong(); size > kMaxStartBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the request takes ", size, " bytes on its way to an engine; at most ", kMaxStartBytes,
        " are allowed: shorten the prompt or what constrains the answer"));
  }
  Run run;
  MutexLock lock(mu_);
  run.id_ = ++last_id_;
  while (call_ == nullptr || !call_->Start(run.id_, start, listener)) {
    call_ = std::make_shared<Call>(open_calls_);
    call_->Open(*stub_);
  }
  run.call_ = call_;
  return run;
}

}  // namespace vallm::gateway
