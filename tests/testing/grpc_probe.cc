#include "tests/testing/grpc_probe.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <utility>
#include <vector>

namespace vallm::testing {
namespace {

constexpr auto kPatience = std::chrono::seconds(10);

grpc::ByteBuffer ToBuffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string FromBuffer(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

// Waits for the next completion; false if the operation failed or nothing came in time.
bool Next(grpc::CompletionQueue* queue) {
  void* tag = nullptr;
  bool ok = false;
  const auto deadline = std::chrono::system_clock::now() + kPatience;
  return queue->AsyncNext(&tag, &ok, deadline) == grpc::CompletionQueue::GOT_EVENT && ok;
}

}  // namespace

std::string CheckHealth(const std::shared_ptr<grpc::Channel>& channel, const std::string& service) {
  // HealthCheckRequest{service = 1}.
  std::string request("\x0A");
  request.push_back(static_cast<char>(service.size()));
  request += service;
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  grpc::CompletionQueue queue;
  auto call =
      stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", ToBuffer(request), &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  if (!Next(&queue)) return "no answer";
  if (!status.ok()) return status.error_message();
  // HealthCheckResponse{status = 1}.
  const std::string bytes = FromBuffer(response);
  if (bytes == std::string("\x08\x01")) return "SERVING";
  if (bytes == std::string("\x08\x02")) return "NOT_SERVING";
  return "UNKNOWN";
}

std::string ListServices(const std::shared_ptr<grpc::Channel>& channel) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  grpc::CompletionQueue queue;
  auto call = stub.PrepareCall(
      &context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
  const auto step = [&queue](const std::function<void()>& start) {
    start();
    return Next(&queue);
  };
  // ServerReflectionRequest{list_services = 7}.
  const grpc::ByteBuffer request = ToBuffer(std::string("\x3A\x00", 2));
  grpc::ByteBuffer response;
  std::string services;
  if (step([&] { call->StartCall(nullptr); }) && step([&] { call->Write(request, nullptr); }) &&
      step([&] { call->Read(&response, nullptr); })) {
    services = FromBuffer(response);
  }
  grpc::Status status;
  step([&] { call->WritesDone(nullptr); });
  step([&] { call->Finish(&status, nullptr); });
  return status.ok() ? services : "";
}

}  // namespace vallm::testing
