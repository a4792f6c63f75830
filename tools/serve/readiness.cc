#include "tools/serve/readiness.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/grpc_channel.h"
#include "common/grpc_status.h"
#include "tools/http/http_client.h"
#include "vallm/v1/engine.grpc.pb.h"

namespace vallm::tools {
namespace {

constexpr absl::Duration kProbeTimeout = absl::Seconds(1);
constexpr std::chrono::milliseconds kConnectTimeout(200);
constexpr int kProbesOfSilence = 3;
constexpr std::chrono::milliseconds kPauseWhileStarting(100);
constexpr std::chrono::milliseconds kPauseWhenReady(1000);

// A channel connects only while somebody waits on it: a call that fails at once would leave it to
// gRPC's own poll, every five seconds.
bool Connected(grpc::Channel& channel) {
  return channel.WaitForConnected(std::chrono::system_clock::now() + kConnectTimeout);
}

void SetDeadline(grpc::ClientContext* context) {
  context->set_deadline(std::chrono::system_clock::now() +
                        absl::ToChronoMilliseconds(kProbeTimeout));
}

// grpc.health.v1.Health/Check of the whole server. The distribution ships no generated code for it;
// the messages are an empty one and one enum: {status = 1: SERVING = 1}. Nothing: no answer.
std::optional<bool> IsServing(const std::shared_ptr<grpc::Channel>& channel) {
  const grpc::Slice nothing;
  const grpc::ByteBuffer request(&nothing, 1);
  grpc::ClientContext context;
  SetDeadline(&context);
  grpc::CompletionQueue queue;
  grpc::GenericStub stub(channel);
  const auto call =
      stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", request, &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  grpc::Slice bytes;
  if (!queue.Next(&tag, &ok) || !ok || !status.ok() || !response.DumpToSingleSlice(&bytes).ok()) {
    return std::nullopt;
  }
  return std::string_view(reinterpret_cast<const char*>(bytes.begin()), bytes.size()) == "\x08\x01";
}

// Each of these: what the target answered, or nothing.
std::optional<TargetState> ProbeTokenizer(const std::shared_ptr<grpc::Channel>& channel) {
  if (!Connected(*channel)) return std::nullopt;
  const std::optional<bool> serving = IsServing(channel);
  if (!serving.has_value()) return std::nullopt;
  TargetState state;
  state.ready = *serving;
  return state;
}

std::optional<TargetState> ProbeEngine(const std::shared_ptr<grpc::Channel>& channel) {
  if (!Connected(*channel)) return std::nullopt;
  const auto stub = v1::Engine::NewStub(channel);
  grpc::ClientContext context;
  SetDeadline(&context);
  const auto stream = stub->WatchLoad(&context, {});
  v1::Load load;
  std::optional<TargetState> state;
  if (stream->Read(&load)) {
    state.emplace();
    state->ready = load.state() == v1::INSTANCE_STATE_SERVING;
    if (load.total_weight_bytes() > 0) {
      state->loaded_percent =
          static_cast<int>(100 * load.loaded_weight_bytes() / load.total_weight_bytes());
    }
  }
  context.TryCancel();
  stream->Finish();
  return state;
}

std::optional<TargetState> ProbeGateway(const std::string& address) {
  HttpRequest request;
  request.origin = absl::StrCat("http://", address);
  request.path = "/health";
  request.connect_timeout = kProbeTimeout;
  request.read_timeout = kProbeTimeout;
  const auto reply = SendHttp(request);
  if (!reply.ok()) return std::nullopt;
  TargetState state;
  state.ready = reply->status == 200;
  return state;
}

std::optional<TargetState> ProbeOnce(const ProbeTarget& target,
                                     const std::shared_ptr<grpc::Channel>& channel) {
  switch (target.kind) {
    case ProbeTarget::Kind::kTokenizer:
      return ProbeTokenizer(channel);
    case ProbeTarget::Kind::kEngine:
      return ProbeEngine(channel);
    case ProbeTarget::Kind::kGateway:
      return ProbeGateway(target.address);
  }
  return std::nullopt;
}

}  // namespace

ReadinessMonitor::ReadinessMonitor(std::vector<ProbeTarget> targets) {
  {
    MutexLock lock(mutex_);
    for (ProbeTarget& probe : targets) {
      targets_.push_back({.probe = std::move(probe)});
    }
  }
  thread_ = std::thread([this] { Run(); });
}

ReadinessMonitor::~ReadinessMonitor() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  wake_.NotifyAll();
  thread_.join();
}

std::vector<TargetState> ReadinessMonitor::States() const {
  MutexLock lock(mutex_);
  std::vector<TargetState> states;
  for (const Target& target : targets_) states.push_back(target.state);
  return states;
}

void ReadinessMonitor::MarkDown(int index) {
  {
    MutexLock lock(mutex_);
    Target& target = targets_[index];
    target = {.probe = std::move(target.probe), .generation = target.generation + 1};
  }
  wake_.NotifyAll();
}

void ReadinessMonitor::Record(const std::optional<TargetState>& answer, absl::Time begin,
                              Target* target) {
  target->state = answer.value_or(TargetState());
  target->was_ready |= target->state.ready;
  if (answer.has_value()) {
    target->unanswered = 0;
    return;
  }
  if (++target->unanswered == 1) target->unanswered_since = begin;
  if (target->was_ready && target->unanswered >= kProbesOfSilence) {
    target->state.silent_for = absl::Now() - target->unanswered_since;
  }
}

void ReadinessMonitor::Run() {
  std::vector<Target> snapshot;
  {
    MutexLock lock(mutex_);
    snapshot = targets_;
  }
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (const Target& target : snapshot) channels.push_back(NewChannel(target.probe.address));
  while (true) {
    {
      MutexLock lock(mutex_);
      snapshot = targets_;
    }
    for (size_t i = 0; i < snapshot.size(); ++i) {
      const absl::Time begin = absl::Now();
      const std::optional<TargetState> answer = ProbeOnce(snapshot[i].probe, channels[i]);
      MutexLock lock(mutex_);
      if (stopping_) return;
      if (targets_[i].generation == snapshot[i].generation) Record(answer, begin, &targets_[i]);
    }
    MutexLock lock(mutex_);
    if (stopping_) return;
    const bool all_ready = std::all_of(targets_.begin(), targets_.end(),
                                       [](const Target& t) { return t.state.ready; });
    wake_.WaitFor(mutex_, all_ready ? kPauseWhenReady : kPauseWhileStarting);
    if (stopping_) return;
  }
}

absl::StatusOr<EngineSummary> DescribeEngine(const std::string& address) {
  const auto stub = v1::Engine::NewStub(NewChannel(address));
  grpc::ClientContext context;
  SetDeadline(&context);
  context.set_wait_for_ready(true);
  v1::ModelInfo info;
  const absl::Status status = FromGrpc(stub->GetModelInfo(&context, {}, &info));
  if (!status.ok()) return status;
  return EngineSummary{.architecture = info.architecture(),
                       .device = info.device(),
                       .tensor_parallel_size = info.tensor_parallel_size(),
                       .max_model_len = info.max_model_len(),
                       .max_input_len = info.max_input_len(),
                       .max_batch_size = info.max_batch_size(),
                       .kv_cache_tokens = info.kv_cache_token_count()};
}

}  // namespace vallm::tools
