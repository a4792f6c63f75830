#include "common/grpc_server.h"

#include <grpcpp/grpcpp.h>

#include <string>

#include "common/grpc_channel.h"
#include "common/grpc_status.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "vallm/v1/engine.grpc.pb.h"

namespace vallm {
namespace {

// Answers GetModelInfo only.
class InfoService final : public v1::Engine::CallbackService {
  grpc::ServerUnaryReactor* GetModelInfo(grpc::CallbackServerContext* context,
                                         const v1::GetModelInfoRequest*,
                                         v1::ModelInfo* info) override {
    info->set_device("cpu");
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

std::string DeviceSeenAt(const std::string& address) {
  auto stub = v1::Engine::NewStub(NewChannel(address));
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  v1::ModelInfo info;
  const absl::Status status = FromGrpc(stub->GetModelInfo(&context, {}, &info));
  return status.ok() ? info.device() : status.ToString();
}

TEST(GrpcServer, ServesOnATcpPortItPicks) {
  InfoService service;
  auto server = GrpcServer::Start("127.0.0.1:0", {{"vallm.v1.Engine", &service}});
  ASSERT_OK(server);
  ASSERT_GT((*server)->port(), 0);
  EXPECT_EQ(DeviceSeenAt("127.0.0.1:" + std::to_string((*server)->port())), "cpu");
}

TEST(GrpcServer, ServesOnAUnixSocket) {
  InfoService service;
  const std::string address = "unix:" + ::testing::TempDir() + "/grpc_server_test.sock";
  auto server = GrpcServer::Start(address, {{"vallm.v1.Engine", &service}});
  ASSERT_OK(server);
  EXPECT_EQ((*server)->port(), 0);
  EXPECT_EQ(DeviceSeenAt(address), "cpu");
}

TEST(GrpcServer, RefusesAPortInUse) {
  InfoService service;
  auto first = GrpcServer::Start("127.0.0.1:0", {{"vallm.v1.Engine", &service}});
  ASSERT_OK(first);
  InfoService other;
  const std::string address = "127.0.0.1:" + std::to_string((*first)->port());
  EXPECT_THAT(GrpcServer::Start(address, {{"vallm.v1.Engine", &other}}),
              testing::StatusIs(absl::StatusCode::kUnavailable, address));
}

TEST(GrpcStatus, KeepsCodeAndMessageBothWays) {
  const absl::Status status = absl::ResourceExhaustedError("queue is full");
  EXPECT_EQ(FromGrpc(ToGrpc(status)), status);
  EXPECT_TRUE(ToGrpc(absl::OkStatus()).ok());
}

}  // namespace
}  // namespace vallm
