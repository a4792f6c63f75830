#include "gateway/routing/engine_stream.h"

#include <glog/logging.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <list>
#include <optional>
#include <set>
#include <string>
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

// Answers are taken apart here: of a message that is malformed gRPC says no more than of a stream
// that has ended, and leaves it open.
using Stub = grpc::TemplatedGenericStub<v1::GenerateCommand, grpc::ByteBuffer>;
using Reactor = grpc::ClientBidiReactor<v1::GenerateCommand, grpc::ByteBuffer>;

}  // namespace

// The calls that gRPC has not done with.
class EngineStream::OpenCalls {
 public:
  void Opened(Call* call);
  // It tells nobody anything any more; Destroyed() follows.
  void Ended(Call* call);
  void Destroyed();
  void BreakOffAll();
  void WaitForAll();

  // Whether the calling thread is gRPC's, and tells a listener something.
  bool IsTelling() const;

 private:
  mutable Mutex mu_;
  CondVar destroyed_;
  std::set<Call*> calls_ ABSL_GUARDED_BY(mu_);  // that have not ended
  int count_ ABSL_GUARDED_BY(mu_) = 0;          // that exist
};

// One stream, from its start to its end. Keeps itself alive until OnDone.
class EngineStream::Call final : public Reactor, public std::enable_shared_from_this<Call> {
 public:
  explicit Call(std::shared_ptr<OpenCalls> open_calls) : open_calls_(std::move(open_calls)) {}

  void Open(const std::shared_ptr<grpc::ChannelInterface>& channel) {
    static const std::string& method = *new std::string("/vallm.v1.Engine/GenerateMany");
    self_ = shared_from_this();
    open_calls_->Opened(this);
    Stub(channel).PrepareBidiStreamingCall(&context_, method, grpc::StubOptions(), this);
    AddHold();  // for the writes, which start outside of gRPC's calls
    StartRead(&answer_);
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
    // The first is under way.
    const auto start = std::find_if(
        commands_.empty() ? commands_.end() : std::next(commands_.begin()), commands_.end(),
        [id](const v1::GenerateCommand& command) { return command.id() == id; });
    if (start != commands_.end()) {
      commands_.erase(start);  // the engine has never heard of it
      return;
    }
    v1::GenerateCommand command;
    command.set_id(id);
    command.mutable_cancel();
    SayLocked(std::move(command));
  }

  void BreakOff() { context_.TryCancel(); }
  // Whether the calling thread tells a listener of this stream something.
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
    if (!ok) return EndSaying();  // OnDone follows
    v1::GenerateEvents events;
    const grpc::Status parsed =
        grpc::SerializationTraits<v1::GenerateEvents>::Deserialize(&answer_, &events);
    if (!parsed.ok()) {
      LOG(ERROR) << "an engine has sent what cannot be read: its stream is broken off";
      malformed_ = true;
      EndSaying();
      return BreakOff();
    }
    teller_ = std::this_thread::get_id();
    for (const v1::GenerateEvent& event : events.events()) Tell(event);
    teller_ = std::thread::id();
    StartRead(&answer_);
  }

  void EndSaying() {
    MutexLock lock(mu_);
    over_ = true;
    RemoveHold();
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
    absl::Status why = FromGrpc(status);
    if (malformed_) {
      why = absl::InternalError("the engine has sent what cannot be read");
    } else if (why.ok()) {
      // OK would be the end of an answer, and this is none.
      why = absl::UnavailableError("the engine has closed the stream");
    }
    teller_ = std::this_thread::get_id();
    while (const std::optional<Entry> run = TakeRun()) {
      // An engine that closes the stream itself runs nothing that it has not admitted.
      run->listener->OnEnd(
          {.status = why, .answered = answered, .refused = answered && !run->admitted});
    }
    const std::shared_ptr<OpenCalls> open_calls = open_calls_;
    open_calls->Ended(this);
    self_.reset();  // maybe the end of this object, which holds on to the channel
    open_calls->Destroyed();
  }

  // One of those that are left.
  std::optional<Entry> TakeRun() {
    MutexLock lock(mu_);
    if (runs_.empty()) return std::nullopt;
    return std::move(runs_.extract(runs_.begin()).mapped());
  }

  const std::shared_ptr<OpenCalls> open_calls_;
  std::shared_ptr<Call> self_;  // until OnDone
  std::atomic<std::thread::id> teller_{std::thread::id()};
  grpc::ClientContext context_;
  grpc::ByteBuffer answer_;  // gRPC's, while it reads
  bool malformed_ = false;   // used by gRPC's callbacks alone, which come one after the other
  Mutex mu_;
  std::unordered_map<uint64_t, Entry> runs_ ABSL_GUARDED_BY(mu_);
  // To be said; the first is under way. A list: they stay where they are.
  std::list<v1::GenerateCommand> commands_ ABSL_GUARDED_BY(mu_);
  bool over_ ABSL_GUARDED_BY(mu_) = false;  // nothing can be said any more
};

void EngineStream::OpenCalls::Opened(Call* call) {
  MutexLock lock(mu_);
  calls_.insert(call);
  ++count_;
}

void EngineStream::OpenCalls::Ended(Call* call) {
  MutexLock lock(mu_);
  calls_.erase(call);
}

void EngineStream::OpenCalls::Destroyed() {
  MutexLock lock(mu_);
  --count_;
  destroyed_.NotifyAll();
}

void EngineStream::OpenCalls::BreakOffAll() {
  MutexLock lock(mu_);
  for (Call* call : calls_) call->BreakOff();
}

void EngineStream::OpenCalls::WaitForAll() {
  MutexLock lock(mu_);
  while (count_ > 0) destroyed_.Wait(mu_);
}

bool EngineStream::OpenCalls::IsTelling() const {
  MutexLock lock(mu_);
  return std::any_of(calls_.begin(), calls_.end(),
                     [](const Call* call) { return call->IsTelling(); });
}

void EngineStream::Run::Cancel() {
  if (const std::shared_ptr<Call> call = call_.lock()) call->CancelRun(id_);
}

EngineStream::EngineStream(std::shared_ptr<grpc::ChannelInterface> channel)
    : channel_(std::move(channel)), open_calls_(std::make_shared<OpenCalls>()) {}

EngineStream::~EngineStream() {
  open_calls_->BreakOffAll();
  if (!open_calls_->IsTelling()) open_calls_->WaitForAll();
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
    call_->Open(channel_);
  }
  run.call_ = call_;
  return run;
}

}  // namespace vallm::gateway
