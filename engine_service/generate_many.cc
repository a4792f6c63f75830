#include "engine_service/generate_many.h"

#include <grpcpp/server_context.h>

#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/engine_trailers.h"
#include "common/grpc_status.h"
#include "common/stream_writer.h"
#include "engine_service/call_record.h"
#include "engine_service/call_request.h"
#include "engine_service/convert.h"

namespace vallm::engine {
namespace {

// Where a message to a slow reader is full: far below what clients accept.
constexpr size_t kMaxMessageBytes = 1 << 20;
// So many full ones wait before nothing more is read from the client.
constexpr size_t kMaxParkedMessages = 2;

absl::Time DeadlineOf(const v1::GenerateStart& start) {
  if (!start.has_timeout()) return absl::InfiniteFuture();
  return absl::Now() + absl::Seconds(start.timeout().seconds()) +
         absl::Nanoseconds(start.timeout().nanos());
}

std::string LogNameOf(const v1::GenerateStart& start, const std::string& request_id) {
  const auto it = start.metadata().find("x-request-id");
  return it == start.metadata().end() ? request_id : LogName(request_id, it->second);
}

}  // namespace

class GenerateManyCalls::Call final
    : public StreamWriter<v1::GenerateEvents, GenerateManyCalls::Reactor> {
 public:
  explicit Call(GenerateManyCalls& owner)
      : StreamWriter(kMaxMessageBytes),
        owner_(owner),
        context_(owner.context_),
        link_(std::make_shared<Link>(*this)) {}

  void Read() { StartRead(&command_); }

 private:
  // How the sinks reach the stream, which may end (cancelled by the client) before the engine is
  // done with its requests.
  struct Link {
    explicit Link(Call& the_call) : call(&the_call) {}
    Mutex mu;
    Call* call ABSL_GUARDED_BY(mu);  // null once the stream has ended
  };

  struct Request {
    RequestHandle handle = 0;  // 0: not submitted yet
    bool cancelled = false;
  };

  class Sink final : public RequestSink {
   public:
    Sink(std::shared_ptr<Link> link, uint64_t id, CallRecord record)
        : link_(std::move(link)), id_(id), record_(std::move(record)) {}

    void Accepting(const GenerationRequest& request) {
      seed_ = *request.sampling.seed;
      record_.Accepting(request);
    }
    void Refused(const absl::Status& status) { record_.Refused(status); }

    void OnStart() override {
      v1::GenerateEvents events;
      NewEvent(events).set_admitted(true);
      MutexLock lock(link_->mu);
      if (link_->call != nullptr) link_->call->Send(std::move(events));
    }
    void OnTokens(TokenBatch tokens) override {
      record_.Tokens(tokens.token_ids.size());
      v1::GenerateEvents events;
      v1::GenerateChunk& chunk = *NewEvent(events).mutable_chunk();
      AppendTokens(tokens, chunk);
      const bool first = SayTheSeed(chunk);
      MutexLock lock(link_->mu);
      if (link_->call == nullptr) return;
      // Somebody waits for the first token, which does not wait for those of others.
      first ? link_->call->Send(std::move(events)) : link_->call->Park(std::move(events));
    }
    void OnFinish(const Completion& completion) override {
      record_.Finished(completion);
      v1::GenerateEvents events;
      v1::GenerateEvent& event = NewEvent(events);
      if (completion.status.ok()) {
        SetCompletion(completion, *event.mutable_chunk());
        SayTheSeed(*event.mutable_chunk());
      }
      SetEnd(completion.status, *event.mutable_end());
      MutexLock lock(link_->mu);
      if (link_->call != nullptr) link_->call->OnEnded(id_, std::move(events));
    }

   private:
    v1::GenerateEvent& NewEvent(v1::GenerateEvents& events) const {
      v1::GenerateEvent& event = *events.add_events();
      event.set_id(id_);
      return event;
    }
    // In the first chunk; whether this is it.
    bool SayTheSeed(v1::GenerateChunk& chunk) {
      if (!std::exchange(first_, false)) return false;
      chunk.set_seed(seed_);
      return true;
    }

    const std::shared_ptr<Link> link_;
    const uint64_t id_;
    CallRecord record_;
    int64_t seed_ = 0;
    bool first_ = true;
  };

  static void SetEnd(const absl::Status& status, v1::GenerateEnd& end) {
    const grpc::Status grpc_status = ToGrpc(status);
    end.set_code(grpc_status.error_code());
    end.set_message(grpc_status.error_message());
  }

  // The next command is asked for before this one is carried out, which may take a while (a schema
  // to compile); so what commands mean to each other is settled first.
  void OnReadDone(bool ok) override {
    if (!ok) return OnWritesDone();
    v1::GenerateCommand command = std::exchange(command_, {});
    if (absl::Status status = Note(command); !status.ok()) {
      CancelAll();
      Finish(ToGrpc(status));
      return;
    }
    ReadOn();
    if (command.has_start()) Submit(command.id(), command.start());
  }

  // Or later, when the client has read what waits for it: every command has an answer.
  void ReadOn() {
    {
      MutexLock lock(mu_);
      read_waits_ = parked_count() >= kMaxParkedMessages;
      if (read_waits_) return;
    }
    Read();
  }
  void OnSent() override {
    {
      MutexLock lock(mu_);
      if (!read_waits_ || parked_count() >= kMaxParkedMessages) return;
      read_waits_ = false;
    }
    Read();
  }

  absl::Status Note(const v1::GenerateCommand& command) {
    RequestHandle to_cancel = 0;
    switch (command.command_case()) {
      case v1::GenerateCommand::kStart: {
        MutexLock lock(mu_);
        if (!requests_.emplace(command.id(), Request()).second) {
          return absl::InvalidArgumentError(
              absl::StrCat("id: ", command.id(), " is that of a request that has not ended"));
        }
        return absl::OkStatus();
      }
      case v1::GenerateCommand::kCancel: {
        MutexLock lock(mu_);
        const auto it = requests_.find(command.id());
        if (it == requests_.end()) return absl::OkStatus();  // its end is on the way
        it->second.cancelled = true;
        to_cancel = it->second.handle;
        break;
      }
      case v1::GenerateCommand::COMMAND_NOT_SET:
        RefuseUnknown(command.id());
        break;
    }
    if (to_cancel != 0) context_.engine.Cancel(to_cancel);
    return absl::OkStatus();
  }

  // A command that a later version of the protocol may have; the stream is other requests' too.
  void RefuseUnknown(uint64_t id) {
    {
      MutexLock lock(mu_);
      if (requests_.count(id) > 0) return;
    }
    Refuse(id, absl::UnimplementedError("command: neither start nor cancel"));
  }

  void Refuse(uint64_t id, const absl::Status& status) {
    v1::GenerateEvents events;
    v1::GenerateEvent& event = *events.add_events();
    event.set_id(id);
    SetEnd(status, *event.mutable_end());
    event.mutable_end()->set_refused(true);
    OnEnded(id, std::move(events));
  }

  void Submit(uint64_t id, const v1::GenerateStart& start) {
    const std::string request_id = RequestIdOf(start.request());
    auto sink = std::make_shared<Sink>(link_, id,
                                       CallRecord(context_.metrics, LogNameOf(start, request_id)));
    absl::StatusOr<GenerationRequest> request =
        ReadRequest(start.request(), context_.tokenizer, request_id, DeadlineOf(start));
    absl::Status status = request.status();
    if (request.ok()) {
      sink->Accepting(*request);
      const auto submitted = context_.engine.Submit(*std::move(request), sink);
      if (submitted.ok()) return Submitted(id, submitted->handle);
      status = submitted.status();
    }
    sink->Refused(status);
    Refuse(id, status);
  }

  // Its sink may have been called, to the last, before.
  void Submitted(uint64_t id, RequestHandle handle) {
    {
      MutexLock lock(mu_);
      const auto it = requests_.find(id);
      if (it == requests_.end()) return;
      it->second.handle = handle;
      if (!it->second.cancelled && !cancelled_) return;
    }
    context_.engine.Cancel(handle);
  }

  // `last` is what there is to say of it. Its id is free before the client can hear of that.
  void OnEnded(uint64_t id, v1::GenerateEvents last) {
    bool all;
    {
      MutexLock lock(mu_);
      requests_.erase(id);
      Send(std::move(last));
      all = writes_done_ && requests_.empty();
    }
    if (all) Finish(grpc::Status::OK);
  }

  void OnWritesDone() {
    bool all;
    {
      MutexLock lock(mu_);
      writes_done_ = true;
      all = requests_.empty();
    }
    if (all) Finish(grpc::Status::OK);
  }

  void CancelAll() {
    std::vector<RequestHandle> handles;
    {
      MutexLock lock(mu_);
      cancelled_ = true;
      for (const auto& [id, request] : requests_) {
        if (request.handle != 0) handles.push_back(request.handle);
      }
    }
    for (const RequestHandle handle : handles) context_.engine.Cancel(handle);
  }

  void Merge(v1::GenerateEvents& parked, v1::GenerateEvents next) override {
    for (v1::GenerateEvent& event : *next.mutable_events()) {
      *parked.add_events() = std::move(event);
    }
  }
  void OnCancelled() override { CancelAll(); }
  void OnEnd() override {
    {
      MutexLock lock(link_->mu);
      link_->call = nullptr;
    }
    MutexLock lock(owner_.mu_);
    owner_.calls_.erase(this);
    owner_.ended_.NotifyAll();
  }

  GenerateManyCalls& owner_;
  const CallContext context_;
  const std::shared_ptr<Link> link_;
  v1::GenerateCommand command_;  // gRPC's, while it reads
  Mutex mu_;
  std::unordered_map<uint64_t, Request> requests_ ABSL_GUARDED_BY(mu_);  // that have not ended
  bool writes_done_ ABSL_GUARDED_BY(mu_) = false;                        // by the client
  bool read_waits_ ABSL_GUARDED_BY(mu_) = false;                         // for the client to read
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
};

GenerateManyCalls::~GenerateManyCalls() {
  Stop();
  MutexLock lock(mu_);
  while (!calls_.empty()) ended_.Wait(mu_);
}

GenerateManyCalls::Reactor* GenerateManyCalls::Start(grpc::CallbackServerContext& rpc) {
  rpc.AddTrailingMetadata(kAnsweredTrailer, "1");
  auto* call = new Call(*this);
  MutexLock lock(mu_);
  calls_.insert(call);
  if (stopping_) {
    call->Finish({grpc::StatusCode::UNAVAILABLE, "the engine is stopping"});
  } else {
    call->StartSendInitialMetadata();
    call->Read();
  }
  return call;
}

void GenerateManyCalls::FlushStep() {
  MutexLock lock(mu_);
  for (Call* call : calls_) call->Flush();
}

void GenerateManyCalls::Stop() {
  MutexLock lock(mu_);
  stopping_ = true;
  for (Call* call : calls_) {
    call->Finish({grpc::StatusCode::UNAVAILABLE, "the engine is stopping"});
  }
}

}  // namespace vallm::engine
