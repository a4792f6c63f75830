#include "tools/serve/readiness.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/grpc_channel.h"
#include "common/grpc_status.h"
#include "tools/http/http_client.h"
#include "vallm/v1/engine.grpc.pb.h"
#include "vallm/v1/tokenizer.grpc.pb.h"

namespace vallm::tools {
namespace {

constexpr absl::Duration kProbeTimeout = absl::Seconds(1);
constexpr std::chrono::milliseconds kConnectTimeout(200);
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

bool TokenizerAnswers(const std::shared_ptr<grpc::Channel>& channel) {
  if (!Connected(*channel)) return false;
  grpc::ClientContext context;
  SetDeadline(&context);
  v1::TokenizerInfo info;
  return v1::Tokenizer::NewStub(channel)->GetInfo(&context, {}, &info).ok();
}

bool EngineServes(const std::shared_ptr<grpc::Channel>& channel) {
  if (!Connected(*channel)) return false;
  const auto stub = v1::Engine::NewStub(channel);
  grpc::ClientContext context;
  SetDeadline(&context);
  const auto stream = stub->WatchLoad(&context, {});
  v1::Load load;
  const bool serving = stream->Read(&load) && load.state() == v1::INSTANCE_STATE_SERVING;
  context.TryCancel();
  stream->Finish();
  return serving;
}

bool GatewayAnswers(const std::string& address) {
  HttpRequest request;
  request.origin = absl::StrCat("http://", address);
  request.path = "/health";
  request.connect_timeout = kProbeTimeout;
  request.read_timeout = kProbeTimeout;
  const auto reply = SendHttp(request);
  return reply.ok() && reply->status == 200;
}

}  // namespace

ReadinessMonitor::ReadinessMonitor(std::vector<ProbeTarget> targets) {
  {
    MutexLock lock(mutex_);
    for (ProbeTarget& probe : targets) {
      targets_.push_back({.probe = std::move(probe), .ready = false, .generation = 0});
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

std::vector<bool> ReadinessMonitor::Ready() const {
  MutexLock lock(mutex_);
  std::vector<bool> ready;
  for (const Target& target : targets_) ready.push_back(target.ready);
  return ready;
}

void ReadinessMonitor::MarkDown(int index) {
  {
    MutexLock lock(mutex_);
    targets_[index].ready = false;
    ++targets_[index].generation;
  }
  wake_.NotifyAll();
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
      const ProbeTarget& probe = snapshot[i].probe;
      const bool ready = probe.kind == ProbeTarget::Kind::kTokenizer ? TokenizerAnswers(channels[i])
                         : probe.kind == ProbeTarget::Kind::kEngine  ? EngineServes(channels[i])
                                                                    : GatewayAnswers(probe.address);
      MutexLock lock(mutex_);
      if (stopping_) return;
      if (targets_[i].generation == snapshot[i].generation) targets_[i].ready = ready;
    }
    MutexLock lock(mutex_);
    if (stopping_) return;
    const bool all_ready =
        std::all_of(targets_.begin(), targets_.end(), [](const Target& t) { return t.ready; });
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
                       .max_batch_size = info.max_batch_size()};
}

}  // namespace vallm::tools
