#include "tests/testing/fake_engine.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <thread>
#include <utility>

#include "absl/time/clock.h"
#include "common/engine_trailers.h"

namespace vallm::testing {

FakeEngine::FakeEngine(int max_batch_size, int max_model_len, const TlsFiles& tls)
    : max_batch_size_(max_batch_size), max_model_len_(max_model_len) {
  auto server = GrpcServer::Start("127.0.0.1:0", {{"vallm.v1.Engine", this}}, tls);
  if (!server.ok()) throw std::runtime_error(server.status().ToString());
  server_ = *std::move(server);
  server_->SetServing(true);
}

FakeEngine::~FakeEngine() { server_->Shutdown(absl::ZeroDuration()); }

void FakeEngine::SetScript(EngineScript script) {
  MutexLock lock(mu_);
  script_ = std::move(script);
}

void FakeEngine::SetState(v1::InstanceState state) {
  MutexLock lock(mu_);
  state_ = state;
  changed_.NotifyAll();
}

void FakeEngine::SetIsOld(bool is_old) {
  MutexLock lock(mu_);
  is_old_ = is_old;
}

void FakeEngine::SetFingerprint(const std::string& fingerprint) {
  MutexLock lock(mu_);
  fingerprint_ = fingerprint;
}

FakeEngine::Metadata FakeEngine::last_metadata() const {
  MutexLock lock(mu_);
  return metadata_;
}

std::vector<v1::GenerateRequest> FakeEngine::requests() const {
  MutexLock lock(mu_);
  return requests_;
}

int FakeEngine::running() const {
  MutexLock lock(mu_);
  return running_;
}

int FakeEngine::cancelled_count() const {
  MutexLock lock(mu_);
  return cancelled_;
}

int64_t FakeEngine::written_chunks() const {
  MutexLock lock(mu_);
  return written_chunks_;
}

bool FakeEngine::WaitForCancelled(int count, absl::Duration timeout) const {
  const absl::Time deadline = absl::Now() + timeout;
  MutexLock lock(mu_);
  while (cancelled_ < count && absl::Now() < deadline) {
    changed_.WaitFor(mu_, absl::ToChronoNanoseconds(deadline - absl::Now()));
  }
  return cancelled_ >= count;
}

bool FakeEngine::WaitForRunning(int count, absl::Duration timeout) const {
  const absl::Time deadline = absl::Now() + timeout;
  MutexLock lock(mu_);
  while (running_ < count && absl::Now() < deadline) {
    changed_.WaitFor(mu_, absl::ToChronoNanoseconds(deadline - absl::Now()));
  }
  return running_ >= count;
}

class FakeEngine::Caller {
 public:
  virtual ~Caller() = default;
  virtual bool cancelled() = 0;
  virtual void Admit() = 0;
  virtual bool Write(const v1::GenerateChunk& chunk) = 0;
  // What follows is a refusal.
  virtual void Refuse() = 0;
};

class FakeEngine::StreamCaller final : public Caller {
 public:
  StreamCaller(grpc::ServerContext& context, grpc::ServerWriter<v1::GenerateChunk>& writer)
      : context_(context), writer_(writer) {
    context.AddTrailingMetadata(kAnsweredTrailer, "1");
  }
  bool cancelled() override { return context_.IsCancelled(); }
  void Admit() override { writer_.SendInitialMetadata(); }
  bool Write(const v1::GenerateChunk& chunk) override { return writer_.Write(chunk); }
  void Refuse() override { context_.AddTrailingMetadata(kRefusedTrailer, "1"); }

 private:
  grpc::ServerContext& context_;
  grpc::ServerWriter<v1::GenerateChunk>& writer_;
};

// One of many. The stream takes the writes of all of them in turn.
class FakeEngine::ManyCaller final : public Caller {
 public:
  using Stream = grpc::ServerReaderWriter<v1::GenerateEvents, v1::GenerateCommand>;

  ManyCaller(uint64_t id, grpc::ServerContext& context, Mutex& writing, Stream& stream)
      : id_(id), context_(context), writing_(writing), stream_(stream) {}

  bool cancelled() override { return cancelled_ || context_.IsCancelled(); }
  void Cancel() { cancelled_ = true; }
  void Admit() override {
    v1::GenerateEvents events;
    NewEvent(events).set_admitted(true);
    Say(events);
  }
  bool Write(const v1::GenerateChunk& chunk) override {
    v1::GenerateEvents events;
    *NewEvent(events).mutable_chunk() = chunk;
    return Say(events);
  }
  void Refuse() override { refused_ = true; }
  void End(const grpc::Status& status) {
    v1::GenerateEvents events;
    v1::GenerateEnd& end = *NewEvent(events).mutable_end();
    end.set_code(status.error_code());
    end.set_message(status.error_message());
    end.set_refused(refused_);
    Say(events);
  }

 private:
  v1::GenerateEvent& NewEvent(v1::GenerateEvents& events) const {
    v1::GenerateEvent& event = *events.add_events();
    event.set_id(id_);
    return event;
  }
  bool Say(const v1::GenerateEvents& events) {
    MutexLock lock(writing_);
    return stream_.Write(events);
  }

  const uint64_t id_;
  grpc::ServerContext& context_;
  Mutex& writing_;
  Stream& stream_;
  bool refused_ = false;
  std::atomic<bool> cancelled_{false};
};

grpc::Status FakeEngine::GenerateStream(grpc::ServerContext* context,
                                        const v1::GenerateRequest* request,
                                        grpc::ServerWriter<v1::GenerateChunk>* writer) {
  Metadata metadata;
  for (const auto& [key, value] : context->client_metadata()) {
    metadata.emplace(std::string(key.data(), key.size()), std::string(value.data(), value.size()));
  }
  StreamCaller caller(*context, *writer);
  return Serve(*request, std::move(metadata), caller);
}

grpc::Status FakeEngine::GenerateMany(grpc::ServerContext* context, ManyCaller::Stream* stream) {
  {
    MutexLock lock(mu_);
    if (is_old_) return {grpc::StatusCode::UNIMPLEMENTED, ""};
  }
  context->AddTrailingMetadata(kAnsweredTrailer, "1");
  Mutex writing;
  std::map<uint64_t, std::unique_ptr<ManyCaller>> callers;
  std::vector<std::thread> threads;
  v1::GenerateCommand command;
  while (stream->Read(&command)) {
    if (command.has_cancel()) {
      callers.at(command.id())->Cancel();
      continue;
    }
    ManyCaller& caller = *callers
                              .emplace(command.id(), std::make_unique<ManyCaller>(
                                                         command.id(), *context, writing, *stream))
                              .first->second;
    threads.emplace_back([this, &caller, start = command.start()] {
      caller.End(
          Serve(start.request(), {start.metadata().begin(), start.metadata().end()}, caller));
    });
  }
  for (std::thread& thread : threads) thread.join();
  return grpc::Status::OK;
}

grpc::Status FakeEngine::Serve(const v1::GenerateRequest& request, Metadata metadata,
                               Caller& caller) {
  EngineScript script;
  {
    MutexLock lock(mu_);
    if (state_ != v1::INSTANCE_STATE_SERVING) {
      caller.Refuse();
      return {grpc::StatusCode::UNAVAILABLE, "the worker group is restarting"};
    }
    if (taken_[request.request_id()] > absl::Now()) {
      caller.Refuse();
      return {grpc::StatusCode::ALREADY_EXISTS, "request_id: is taken"};
    }
    requests_.push_back(request);
    metadata_ = std::move(metadata);
    ++running_;
    script = script_;
    if (script_.fail_times > 0) --script_.fail_times;
    if (script.refuses && script.fail_times != 0) {
      --running_;
      caller.Refuse();
      return script.status;
    }
    changed_.NotifyAll();
  }
  caller.Admit();
  const grpc::Status status = Play(script, request, caller);
  MutexLock lock(mu_);
  --running_;
  if (!status.ok()) taken_[request.request_id()] = absl::Now() + script.taken_for;
  if (status.error_code() == grpc::StatusCode::CANCELLED) ++cancelled_;
  changed_.NotifyAll();
  return status;
}

// The token itself has -id / 100, the ids after it each 1 less.
void FakeEngine::AddLogprobs(int32_t token_id, const v1::GenerateRequest& request,
                             v1::GenerateChunk* chunk) {
  v1::TokenLogprobs& logprobs = *chunk->add_logprobs();
  logprobs.set_logprob(-0.01f * static_cast<float>(token_id));
  logprobs.set_rank(1);
  for (int32_t i = 0; i < request.logprobs().top_count(); ++i) {
    v1::TokenLogprob& top = *logprobs.add_top();
    top.set_token_id(token_id + i);
    top.set_logprob(logprobs.logprob() - static_cast<float>(i));
  }
}

grpc::Status FakeEngine::Play(const EngineScript& script, const v1::GenerateRequest& request,
                              Caller& caller) {
  const size_t room = request.stop().has_max_tokens()
                          ? static_cast<size_t>(request.stop().max_tokens())
                          : script.tokens.size();
  const size_t count = std::min(room, script.tokens.size());
  const auto resumed = static_cast<size_t>(request.resume_token_ids_size());
  if (!std::equal(request.resume_token_ids().begin(), request.resume_token_ids().end(),
                  script.tokens.begin(), script.tokens.begin() + std::min(resumed, count))) {
    return {grpc::StatusCode::INVALID_ARGUMENT, "resumes what this engine would not have said"};
  }
  const bool fails = script.fail_times != 0;
  size_t sent = resumed;
  for (int chunks = 0;; ++chunks) {
    if (fails && chunks == script.hang_after) SleepUnlessCancelled(caller, absl::Minutes(1));
    if (!SleepUnlessCancelled(caller, script.delay)) return grpc::Status::CANCELLED;
    if (fails && chunks == script.fail_after) return script.status;
    v1::GenerateChunk chunk;
    for (int i = 1;
         chunks == 0 && request.has_prompt_logprobs() && i < request.prompt_token_ids().ids_size();
         ++i) {
      v1::TokenLogprobs& logprobs = *chunk.add_prompt_logprobs();
      logprobs.set_logprob(static_cast<float>(-i));
      logprobs.set_rank(i);
    }
    if (static_cast<int>(sent) == script.dies_at_token) return script.status;
    while (sent < count && chunk.token_ids_size() < script.tokens_per_chunk) {
      if (request.has_logprobs()) AddLogprobs(script.tokens[sent], request, &chunk);
      chunk.add_token_ids(script.tokens[sent++]);
    }
    const bool last = sent == count && !(fails && chunks == script.fail_after - 1);
    if (last) {
      const bool cut = count < script.tokens.size();
      chunk.set_finish_reason(cut ? v1::FINISH_REASON_LENGTH : script.finish_reason);
      chunk.mutable_usage()->set_prompt_token_count(request.prompt_token_ids().ids_size());
      chunk.mutable_usage()->set_cached_token_count(script.cached_tokens);
      chunk.mutable_usage()->set_completion_token_count(static_cast<int>(sent));
      if (script.stop_token_id && !cut) chunk.set_stop_token_id(*script.stop_token_id);
    }
    if (!caller.Write(chunk)) return grpc::Status::CANCELLED;
    {
      MutexLock lock(mu_);
      ++written_chunks_;
    }
    if (last) return grpc::Status::OK;
  }
}

bool FakeEngine::SleepUnlessCancelled(Caller& caller, absl::Duration duration) {
  const absl::Time end = absl::Now() + duration;
  while (!caller.cancelled() && absl::Now() < end) {
    absl::SleepFor(std::min(end - absl::Now(), absl::Milliseconds(2)));
  }
  return !caller.cancelled();
}

grpc::Status FakeEngine::GetModelInfo(grpc::ServerContext*, const v1::GetModelInfoRequest*,
                                      v1::ModelInfo* info) {
  info->set_model_path("/models/Fake-Model");
  info->set_max_model_len(max_model_len_);
  info->set_max_input_len(max_model_len_ - 1);
  info->set_max_batch_size(max_batch_size_);
  MutexLock lock(mu_);
  info->set_fingerprint(fingerprint_);
  return grpc::Status::OK;
}

grpc::Status FakeEngine::WatchLoad(grpc::ServerContext* context, const v1::WatchLoadRequest*,
                                   grpc::ServerWriter<v1::Load>* writer) {
  std::string last;
  while (!context->IsCancelled()) {
    v1::Load load;
    {
      MutexLock lock(mu_);
      load.set_running_count(running_);
      load.set_generated_token_count(written_chunks_);
      load.set_max_batch_size(max_batch_size_);
      load.set_state(state_);
    }
    const std::string now = load.SerializeAsString();
    if (now != last && !writer->Write(load)) break;
    last = now;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return grpc::Status::OK;
}

}  // namespace vallm::testing
